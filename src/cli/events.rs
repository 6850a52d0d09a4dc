//! `msctl events`.

use serde_json::{Map, Value, json};

use super::command::{CommandError, FormatArgs, since, switch};
use super::signals::Signals;
use crate::admin::client::Extent;
use crate::model::event::Event;
use crate::model::exit::ExitCode;
use crate::ops::up::Interrupts;
use crate::ops::{Context, OpsError, events};
use crate::ui::happening;
use crate::ui::printer::{Format, Printer};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msctl events                  what has happened since the platform is up
  msctl events -f --service order
  msctl events --since 10m
  msctl events -f --format jsonl | jq -r .event

Times are in UTC. It goes on where another process takes over the platform. A
stream has no end that one document could wait for: json is one a line, too.")]
pub struct Args {
    /// Go on as more happens, until the platform is stopped
    #[arg(short, long, env = "MSCTL_FOLLOW", value_parser = switch)]
    follow: bool,
    /// Only what is about this service; may be given several times
    #[arg(long, env = "MSCTL_SERVICE", value_name = "SERVICE")]
    service: Vec<String>,
    /// Only what happened since then: "10m" ago, or a time such as 2026-05-01T12:00:00Z
    #[arg(long, env = "MSCTL_SINCE", value_name = "WHEN")]
    since: Option<String>,
    #[command(flatten)]
    format: FormatArgs,
}

pub async fn run(args: Args, context: &Context, printer: &Printer) -> Result<ExitCode, CommandError> {
    let since = args.since.as_deref().map(since).transpose()?;
    let extent = if args.follow { Extent::PastAndFuture } else { Extent::Past };
    let request = events::Request { services: args.service, since, extent };
    let mut signals = Signals::listen()?;
    let mut broken = None;
    let mut take = |event: &Event| match show(event, args.format.format, printer) {
        Ok(()) => true,
        Err(error) => {
            broken = Some(error);
            false
        }
    };
    tokio::select! {
        told = events::events(context, &request, &mut take) => told?,
        () = signals.next() => return Err(OpsError::Cancelled.into()),
    }
    broken.map_or(Ok(ExitCode::Ok), |error| Err(error.into()))
}

fn show(event: &Event, format: Format, printer: &Printer) -> std::io::Result<()> {
    match format {
        Format::Text => printer.data(&happening::line(event)),
        // A stream has no end that a single document could wait for: both forms are one a line.
        Format::Json | Format::Jsonl => printer.document(Format::Jsonl, &document(event)?),
    }
}

/// The event as it travels between processes, with times as documents give them.
fn document(event: &Event) -> serde_json::Result<Value> {
    let mut document = json!({
        "schema": "msctl.event/1",
        "at": humantime::format_rfc3339_millis(event.at).to_string(),
    });
    if let (Value::Object(fields), Value::Object(mut of_event)) =
        (&mut document, serde_json::to_value(&event.kind)?)
    {
        for duration in ["took", "restart_in", "built_in", "shipped_in"] {
            in_milliseconds(&mut of_event, duration);
        }
        fields.extend(of_event);
    }
    Ok(document)
}

fn in_milliseconds(fields: &mut Map<String, Value>, name: &str) {
    if let Some(duration) = fields.remove(name) {
        let part = |unit: &str| duration[unit].as_u64();
        let milliseconds =
            part("secs").zip(part("nanos")).map(|(secs, nanos)| secs * 1000 + nanos / 1_000_000);
        fields.insert(format!("{name}_ms"), milliseconds.into());
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::model::event::{EventKind, StepKind};

    #[test]
    fn a_document_has_times_that_people_and_programs_read() {
        let kind = EventKind::StepFinished {
            service: "order".into(),
            step: StepKind::AwaitReady,
            subject: "order.v1.1".into(),
            took: Duration::from_micros(1_060_400),
        };
        let event = Event { at: SystemTime::UNIX_EPOCH, kind };
        assert_eq!(
            document(&event).unwrap(),
            json!({
                "schema": "msctl.event/1", "at": "1970-01-01T00:00:00.000Z", "event": "step-finished",
                "service": "order", "step": "await-ready", "subject": "order.v1.1", "took_ms": 1060,
            })
        );
    }
}
