//! `msctl down`.

use std::io::IsTerminal;

use super::command::{CommandError, switch};
use crate::model::exit::ExitCode;
use crate::model::observed::ResourceKind;
use crate::ops::down::Removed;
use crate::ops::{Context, OpsError, down};
use crate::runtime::DataFate;
use crate::ui::printer::{Printer, Style};
use crate::ui::progress::{BuildOutput, Progress};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Images go, too: the next up makes them anew, with what builds have cached in
.msctl. So there is no going back to a version from before a down.

Examples:
  msctl down                    remove everything but the services' data
  msctl down --volumes --yes    their data and the accounts too
  msctl down --plan             show what would be removed")]
pub struct Args {
    /// Delete the services' data, what failed ones printed, and the accounts too, for good
    #[arg(long, env = "MSCTL_VOLUMES", value_parser = switch)]
    volumes: bool,
    /// Show what would be removed, and remove nothing
    #[arg(long, env = "MSCTL_PLAN", value_parser = switch)]
    plan: bool,
    /// Do not ask before deleting data
    #[arg(short, long, env = "MSCTL_YES", value_parser = switch)]
    yes: bool,
}

pub async fn run(args: &Args, context: &Context, printer: &Printer) -> Result<ExitCode, CommandError> {
    let data = if args.volumes { DataFate::Delete } else { DataFate::Keep };
    if args.plan {
        for line in down::plan(context, data).await? {
            printer.data(&line)?;
        }
        return Ok(ExitCode::Ok);
    }
    if args.volumes && !args.yes && !confirmed(printer)? {
        return Err(OpsError::NeedsYes.into());
    }
    let mut progress = Progress::new(printer, BuildOutput::Hidden);
    let removed = down::down(context, data, &mut |event| progress.show(event)).await?;
    drop(progress);
    printer.say(&format!("{}; nothing of it is left", printer.paint(Style::Good, &summary(&removed))));
    if removed.accounts {
        printer.say("the accounts are deleted");
    }
    if !removed.kept.is_empty() {
        let names: Vec<String> = removed.kept.iter().map(|resource| resource.name.clone()).collect();
        printer.say(&format!("the services' data is kept: {}", names.join(", ")));
        printer.hint("delete it with: msctl down --volumes");
    }
    Ok(ExitCode::Ok)
}

/// `removed 3 instances, 1 network and 2 images`.
fn summary(removed: &Removed) -> String {
    let of_kind = |kind| removed.resources.iter().filter(|resource| resource.kind == kind).count();
    let counts = [
        (removed.instances, "instance"),
        (of_kind(ResourceKind::Network), "network"),
        (of_kind(ResourceKind::Image), "image"),
        (of_kind(ResourceKind::Volume), "volume"),
    ];
    let counted = counts.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = counted
        .map(|(count, noun)| format!("{count} {noun}{}", if *count == 1 { "" } else { "s" }))
        .collect();
    match parts.as_slice() {
        [] => "nothing was running".to_owned(),
        [one] => format!("removed {one}"),
        [most @ .., last] => format!("removed {} and {last}", most.join(", ")),
    }
}

/// Asks, where there is a terminal to ask on; elsewhere that is a no.
fn confirmed(printer: &Printer) -> Result<bool, CommandError> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    printer.say("this deletes the data of every service for good; type \"yes\" to go on");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}
