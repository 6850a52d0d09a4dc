//! `msctl logs`.

use std::str::FromStr;

use serde_json::json;

use super::command::{CommandError, FormatArgs, since, switch};
use super::signals::Signals;
use crate::logs::Entry;
use crate::model::exit::ExitCode;
use crate::ops::up::Interrupts;
use crate::ops::{Context, OpsError, logs};
use crate::runtime::{LogQuery, LogStream};
use crate::ui::printer::{Format, Printer, Style};
use crate::ui::text::escape_control;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msctl logs                    what every service printed last
  msctl logs -f order           follow one
  msctl logs --since 10m -n 500
  msctl logs -n all > all.txt   everything that is kept of what they printed
  msctl logs --format jsonl | jq -r .text")]
pub struct Args {
    /// Only these services
    services: Vec<String>,
    /// Go on as more is printed
    #[arg(short, long, env = "MSCTL_FOLLOW", value_parser = switch)]
    follow: bool,
    /// At most this many lines of what was printed so far; or "all" that is kept
    #[arg(short = 'n', long, env = "MSCTL_LINES", value_name = "LINES", default_value = "100")]
    lines: Lines,
    /// Only what was printed since then: "10m" ago, or a time such as 2026-05-01T12:00:00Z
    #[arg(long, env = "MSCTL_SINCE", value_name = "WHEN")]
    since: Option<String>,
    #[command(flatten)]
    format: FormatArgs,
}

/// How much of what was printed so far.
#[derive(Debug, Clone, Copy)]
enum Lines {
    All,
    Newest(usize),
}

impl FromStr for Lines {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Ok(Self::All),
            number => number.parse().map(Self::Newest).map_err(|_| "write a number, or \"all\"".to_owned()),
        }
    }
}

pub async fn run(args: Args, context: &Context, printer: &Printer) -> Result<ExitCode, CommandError> {
    let since = args.since.as_deref().map(since).transpose()?;
    let tail = match args.lines {
        Lines::All => None,
        Lines::Newest(lines) => Some(lines),
    };
    let query = LogQuery { follow: args.follow, tail, since };
    let request = logs::Request { services: args.services, query };
    let mut signals = Signals::listen()?;
    let mut broken = None;
    let mut is_silent = !args.follow;
    let mut take = |entry: &Entry| match show(entry, args.format.format, printer) {
        Ok(()) => {
            is_silent = false;
            true
        }
        Err(error) => {
            broken = Some(error);
            false
        }
    };
    tokio::select! {
        read = logs::logs(context, &request, &mut take) => read?,
        () = signals.next() => return Err(OpsError::Cancelled.into()),
    }
    if is_silent && broken.is_none() {
        printer.say("nothing was printed, or nothing runs; see: msctl ps");
    }
    broken.map_or(Ok(ExitCode::Ok), |error| Err(error.into()))
}

fn show(entry: &Entry, format: Format, printer: &Printer) -> std::io::Result<()> {
    let Entry { instance, line } = entry;
    if format == Format::Text {
        let name = printer.paint(Style::Dim, &format!("{instance} |"));
        return printer.data(&format!("{name} {}", escape_control(&line.text)));
    }
    let document = json!({
        "schema": "msctl.log/1",
        "at": line.at.map(|at| humantime::format_rfc3339_nanos(at).to_string()),
        "service": instance.service.as_str(),
        "instance": instance.to_string(),
        "stream": match line.stream { LogStream::Stdout => "stdout", LogStream::Stderr => "stderr" },
        "text": line.text,
    });
    // A stream has no end that a single document could wait for: both forms are one a line.
    printer.document(Format::Jsonl, &document)
}
