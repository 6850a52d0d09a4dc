//! `msctl scale` and `msctl restart`: changes to a running platform.

use super::command::{CommandError, switch};
use crate::model::exit::ExitCode;
use crate::model::outcome::Outcome;
use crate::ops::detached::Replaced;
use crate::ops::{Context, change};
use crate::ui::printer::{Printer, Style};
use crate::ui::progress::{BuildOutput, Progress};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  msctl scale order=3\n  msctl scale order=3 product=2")]
pub struct ScaleArgs {
    /// A service and its number of instances, 0 to 64
    #[arg(required = true, value_name = "SERVICE=COUNT", value_parser = parse_count)]
    counts: Vec<(String, u16)>,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  msctl restart order\n  msctl restart\n  msctl restart --platform-process"
)]
pub struct RestartArgs {
    /// Only these services
    services: Vec<String>,
    /// Replace the process that serves the gateway instead, and no instance; no connection is dropped
    #[arg(long, env = "MSCTL_PLATFORM_PROCESS", value_parser = switch, conflicts_with = "services")]
    platform_process: bool,
}

/// The most instances of one service.
const MOST_REPLICAS: u16 = 64;

fn parse_count(text: &str) -> Result<(String, u16), String> {
    let rule = format!("write SERVICE=COUNT, with a count from 0 to {MOST_REPLICAS}");
    let (name, count) = text.split_once('=').ok_or_else(|| rule.clone())?;
    let count: u16 = count.parse().map_err(|_| rule.clone())?;
    if name.is_empty() || count > MOST_REPLICAS { Err(rule) } else { Ok((name.to_owned(), count)) }
}

pub async fn run_scale(
    args: ScaleArgs,
    context: &Context,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let mut progress = Progress::new(printer, BuildOutput::Hidden);
    let outcome = change::scale(context, &args.counts, &mut |event| progress.show(event)).await?;
    drop(progress);
    Ok(conclude(&outcome, printer))
}

pub async fn run_restart(
    args: RestartArgs,
    context: &Context,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    if args.platform_process {
        return restart_process(context, printer).await;
    }
    let mut progress = Progress::new(printer, BuildOutput::Hidden);
    let outcome = change::restart(context, &args.services, &mut |event| progress.show(event)).await?;
    drop(progress);
    Ok(conclude(&outcome, printer))
}

async fn restart_process(context: &Context, printer: &Printer) -> Result<ExitCode, CommandError> {
    let said = match change::restart_process(context).await? {
        Some(Replaced { pid, program }) => {
            format!(
                "replaced the platform process (process {pid}, msctl {program}) without dropping a connection"
            )
        }
        None => "the platform process had just ended; a new one was started".to_owned(),
    };
    printer.say(&printer.paint(Style::Good, &said));
    Ok(ExitCode::Ok)
}

pub(super) fn conclude(outcome: &Outcome, printer: &Printer) -> ExitCode {
    if let Some(blind) = &outcome.blind {
        printer.fail(&blind.message, blind.hint.as_deref());
    }
    if outcome.failed.is_empty() && outcome.blind.is_none() {
        printer.say(&printer.paint(Style::Good, "done"));
    }
    outcome.exit_code()
}
