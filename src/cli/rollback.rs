//! `msctl rollback` and `msctl redeploy`.

use super::command::CommandError;
use super::scale::conclude;
use crate::model::exit::ExitCode;
use crate::ops::{Context, change, rollback};
use crate::ui::printer::{Printer, Style};
use crate::ui::progress::{BuildOutput, Progress};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msctl rollback order           what served before serves again
  msctl rollback order --to 3    what v3 ran (msctl history order)
  msctl redeploy order           and forth again, by the sources as they are

A service that was rolled back stays so until something of its sources is saved, or
until msctl redeploy or msctl up asks for them.")]
pub struct RollbackArgs {
    /// The service
    service: String,
    /// The version to go back to, as msctl history shows it
    #[arg(long, env = "MSCTL_TO", value_name = "VERSION", value_parser = parse_generation)]
    to: Option<u32>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  msctl redeploy order\n  msctl redeploy")]
pub struct RedeployArgs {
    /// Only these services
    services: Vec<String>,
}

fn parse_generation(text: &str) -> Result<u32, String> {
    let number = text.strip_prefix('v').unwrap_or(text).parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "write a version as msctl history shows it: v3, or 3".to_owned())
}

pub async fn run(args: RollbackArgs, context: &Context, printer: &Printer) -> Result<ExitCode, CommandError> {
    let mut progress = Progress::new(printer, BuildOutput::Hidden);
    let service = &args.service;
    let (to, outcome) =
        rollback::rollback(context, service, args.to, &mut |event| progress.show(event)).await?;
    drop(progress);
    let code = conclude(&outcome, printer);
    if code == ExitCode::Ok {
        let next = format!("{service} runs what v{to} ran, until its sources are saved or redeployed");
        printer.say(&printer.paint(Style::Dim, &next));
    }
    Ok(code)
}

pub async fn run_redeploy(
    args: RedeployArgs,
    context: &Context,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let mut progress = Progress::new(printer, BuildOutput::Hidden);
    let outcome = change::redeploy(context, &args.services, &mut |event| progress.show(event)).await?;
    drop(progress);
    Ok(conclude(&outcome, printer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_written_with_or_without_its_letter() {
        assert_eq!(parse_generation("v3"), Ok(3));
        assert_eq!(parse_generation("3"), Ok(3));
        assert!(["0", "v", "", "-1", "vv3"].iter().all(|bad| parse_generation(bad).is_err()));
    }
}
