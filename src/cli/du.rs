//! `msctl du`.

use std::time::SystemTime;

use super::command::{CommandError, FormatArgs, switch};
use crate::model::exit::ExitCode;
use crate::model::usage::{Holding, Usage};
use crate::ops::{Context, du};
use crate::ui::printer::{Format, Printer};
use crate::ui::text::{age, bytes};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
What is kept is set in msctl.toml: [images] keep = 3 (builds of each service)
and keep_bytes = \"5GB\". The rest goes by itself once something new serves, or the manifest keeps less.

Examples:
  msctl du
  msctl du --collect            remove what is beyond the budget now
  msctl du --format json | jq '[.kept[] | select(.in_use | not) | .bytes] | add'")]
pub struct Args {
    /// Remove what is beyond the budget; never what instances are made from
    #[arg(long, env = "MSCTL_COLLECT", value_parser = switch)]
    collect: bool,
    #[command(flatten)]
    format: FormatArgs,
}

pub async fn run(args: &Args, context: &Context, printer: &Printer) -> Result<ExitCode, CommandError> {
    let request = if args.collect { du::Request::Collect } else { du::Request::Look };
    let usage = du::du(context, request).await?;
    if args.format.format != Format::Text {
        printer.document(args.format.format, &usage)?;
        return Ok(ExitCode::Ok);
    }
    if args.collect {
        printer.say(&collected(&usage.collected));
    }
    if usage.kept.is_empty() {
        printer.say("nothing is kept of any build");
    } else {
        let now = SystemTime::now();
        let rows = usage.kept.iter().map(|one| row(one, now)).collect();
        printer.table(&["service", "what", "version", "size", "age", "used"], rows)?;
        printer.say(&total(&usage));
    }
    if let Some(reason) = &usage.unseen {
        printer.say(&format!("images are not among these: {reason}"));
    }
    Ok(ExitCode::Ok)
}

fn row(one: &Holding, now: SystemTime) -> Vec<String> {
    vec![
        one.service.clone(),
        one.what.to_string(),
        versions(&one.generations),
        bytes(one.bytes),
        age(one.made, now),
        if one.in_use { "yes" } else { "-" }.to_owned(),
    ]
}

/// `v7`; `v7 v5 …` where it was more than two.
fn versions(generations: &[u32]) -> String {
    let newest: Vec<String> = generations.iter().rev().take(2).map(|number| format!("v{number}")).collect();
    match generations.len() {
        0 => "-".to_owned(),
        1 | 2 => newest.join(" "),
        _ => newest.join(" ") + " …",
    }
}

fn total(usage: &Usage) -> String {
    let (all, used) = (bytes(usage.bytes), bytes(usage.bytes_in_use));
    format!("{all} in all, {used} of it in use")
}

fn collected(gone: &[Holding]) -> String {
    let freed = bytes(gone.iter().map(|one| one.bytes).sum());
    let shown = gone.iter().map(|one| match versions(&one.generations).as_str() {
        "-" => format!("{} {}", one.service, one.what),
        versions => format!("{} {} {versions}", one.service, one.what),
    });
    match shown.collect::<Vec<_>>().as_slice() {
        [] => "nothing is beyond the budget".to_owned(),
        all => format!("removed {freed}: {}", all.join(", ")),
    }
}
