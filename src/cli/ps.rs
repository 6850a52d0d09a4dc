//! `msctl ps`.

use std::time::SystemTime;

use super::command::{CommandError, FormatArgs};
use crate::model::exit::ExitCode;
use crate::model::status::{PlatformStatus, ServiceStatus};
use crate::ops::{Context, ps};
use crate::ui::printer::{Format, Printer};
use crate::ui::text::age;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msctl ps
  msctl ps --format json | jq '.services[] | select(.state != \"ready\")'")]
pub struct Args {
    #[command(flatten)]
    format: FormatArgs,
}

pub async fn run(args: &Args, context: &Context, printer: &Printer) -> Result<ExitCode, CommandError> {
    let status = ps::ps(context).await?;
    if args.format.format != Format::Text {
        printer.document(args.format.format, &status)?;
        return Ok(ExitCode::Ok);
    }
    printer.say(&headline(&status));
    if let Some(problem) = &status.problem {
        printer.say(&format!("the manifest cannot be followed, the last good one counts: {problem}"));
    }
    let now = SystemTime::now();
    let rows = status.services.iter().map(|service| row(service, now)).collect();
    printer.table(&["service", "state", "ready", "version", "age", "routes"], rows)?;
    for service in &status.services {
        if let Some(problem) = &service.problem {
            printer.say(&format!("{}: {problem}", service.name));
            service.log.iter().for_each(|log| printer.say(&format!("  whole output: {log}")));
        }
    }
    Ok(ExitCode::Ok)
}

fn headline(status: &PlatformStatus) -> String {
    match &status.gateway.url {
        Some(url) => {
            let watching = if status.watching == Some(false) { ", saves are not deployed" } else { "" };
            format!("{} at {url} ({}{watching})", status.title(), status.runtime)
        }
        None => format!("{} is not up; start it with: msctl up", status.title()),
    }
}

fn row(service: &ServiceStatus, now: SystemTime) -> Vec<String> {
    let since = service.instances.iter().filter_map(|instance| instance.since).min();
    vec![
        service.name.clone(),
        service.state.to_string(),
        format!("{}/{}", service.replicas.ready, service.replicas.wanted),
        service.generation.map_or_else(|| "-".to_owned(), |generation| format!("v{generation}")),
        since.map_or_else(|| "-".to_owned(), |since| age(since, now)),
        service.routes.join(" "),
    ]
}
