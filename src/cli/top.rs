//! `msctl top`.

use std::time::Duration;

use tokio::time::sleep;

use super::command::{CommandError, FormatArgs, switch};
use super::signals::Signals;
use crate::model::exit::ExitCode;
use crate::ops::top::{Frame, Line, ServiceLine, Watch};
use crate::ops::up::Interrupts;
use crate::ops::{Context, OpsError};
use crate::ui::live::{Live, is_terminal};
use crate::ui::printer::{Format, Printer};
use crate::ui::text::{count, cut, latency, share};

/// Between two looks.
const PACE: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msctl top                     until q or Ctrl-C
  msctl top --once
  msctl top --format jsonl | jq '.services[] | {service, p99_us}'

Rates and latencies are those of the last second. Without a terminal it shows one second and ends,
but --format jsonl goes on.")]
pub struct Args {
    /// Show one second and end
    #[arg(long, env = "MSCTL_ONCE", value_parser = switch)]
    once: bool,
    #[command(flatten)]
    format: FormatArgs,
}

pub async fn run(args: &Args, context: &Context, printer: &Printer) -> Result<ExitCode, CommandError> {
    let mut watch = Watch::begin(context).await?;
    let mut signals = Signals::listen()?;
    tokio::select! {
        // Whatever is dropped here has nothing half done: a look changes nothing.
        shown = show(args, &mut watch, printer) => shown.map(|()| ExitCode::Ok),
        () = signals.next() => if args.once {
            Err(OpsError::Cancelled.into())
        } else {
            Ok(ExitCode::Ok)
        },
    }
}

async fn show(args: &Args, watch: &mut Watch, printer: &Printer) -> Result<(), CommandError> {
    match args.format.format {
        Format::Text if !args.once && is_terminal() => live(watch).await,
        Format::Jsonl if !args.once => loop {
            sleep(PACE).await;
            printer.document(Format::Jsonl, &watch.look().await?)?;
        },
        Format::Text => {
            sleep(PACE).await;
            Ok(lines(&watch.look().await?, WIDTH).iter().try_for_each(|line| printer.data(line))?)
        }
        format => {
            sleep(PACE).await;
            Ok(printer.document(format, &watch.look().await?)?)
        }
    }
}

async fn live(watch: &mut Watch) -> Result<(), CommandError> {
    let mut live = Live::enter()?;
    live.draw(&["waiting for the first second".to_owned()])?;
    loop {
        tokio::select! {
            () = sleep(PACE) => {}
            key = live.key() => match key {
                b'q' | b'Q' => return Ok(()),
                _ => continue,
            },
        }
        let frame = watch.look().await?;
        live.draw(&lines(&frame, live.width()))?;
    }
}

/// Where there is no terminal that says otherwise.
const WIDTH: usize = 80;
/// What stands to the right of names: ready, open, requests, p50, p99, errors.
const COLUMNS: [usize; 6] = [8, 8, 9, 10, 10, 8];

fn lines(frame: &Frame, width: usize) -> Vec<String> {
    let title = ["READY", "OPEN", "REQ/S", "P50", "P99", "ERRORS"].map(str::to_owned);
    let mut lines = vec![row("SERVICE", &title, width)];
    for service in &frame.services {
        lines.push(row(&service.service, &of_service(service), width));
        for route in &service.routes {
            let words = [route.methods.as_str(), route.hosts.as_str(), route.route.as_str()];
            let name: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
            let empty = [String::new(), String::new()];
            let cells: Vec<String> = empty.into_iter().chain(of_line(&route.line)).collect();
            lines.push(row(&format!("  {}", name.join(" ")), &cells, width));
        }
    }
    let empty = [String::new(), String::new()];
    let unrouted: Vec<String> = empty.into_iter().chain(of_line(&frame.unrouted)).collect();
    lines.push(row("(no route)", &unrouted, width));
    lines
}

fn of_service(service: &ServiceLine) -> Vec<String> {
    let ready = format!("{}/{}", service.ready, service.endpoints);
    [ready, count(service.in_flight as u64)].into_iter().chain(of_line(&service.all)).collect()
}

fn of_line(line: &Line) -> [String; 4] {
    let micros = |micros: Option<u64>| latency(micros.map(Duration::from_micros));
    let rate = if line.requests == 0 { "-".to_owned() } else { rate(line.requests_per_second) };
    [rate, micros(line.p50_us), micros(line.p99_us), share(line.errors, line.requests)]
}

fn rate(per_second: f64) -> String {
    if per_second < 100.0 { format!("{per_second:.1}") } else { format!("{per_second:.0}") }
}

/// Names give way to numbers where the screen is narrow.
fn row(name: &str, cells: &[String], width: usize) -> String {
    let room = width.saturating_sub(COLUMNS.iter().sum()).max(8);
    let name = cut(name, room);
    let cells = cells.iter().zip(COLUMNS).map(|(cell, width)| format!("{cell:>width$}"));
    format!("{name:<room$}{}", cells.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::top::RouteLine;

    fn line(requests: u64) -> Line {
        Line { requests, errors: 3, requests_per_second: 12_345.6, p50_us: Some(950), p99_us: Some(12_500) }
    }

    fn frame() -> Frame {
        let route = |route: &str, requests| RouteLine {
            route: route.to_owned(),
            methods: "GET,HEAD".to_owned(),
            hosts: String::new(),
            line: line(requests),
        };
        let long = "/a-route/with-a-path/that-is-longer-than-its-column";
        let order = ServiceLine {
            service: "order".to_owned(),
            ready: 2,
            endpoints: 3,
            in_flight: 17,
            all: line(12_345),
            routes: vec![route("/orders", 12_345), route(long, 1)],
        };
        let quiet = Line { requests: 0, errors: 0, requests_per_second: 0.0, p50_us: None, p99_us: None };
        Frame { schema: "msctl.top/1", interval_ms: 1000, services: vec![order], unrouted: quiet }
    }

    #[test]
    fn the_table_fits_into_80_columns() {
        let expected = "\
SERVICE                       READY    OPEN    REQ/S       P50       P99  ERRORS
order                           2/3      17    12346    950 µs   12.5 ms   0.1 %
  GET,HEAD /orders                             12346    950 µs   12.5 ms   0.1 %
  GET,HEAD /a-route/with-a…                    12346    950 µs   12.5 ms   300 %
(no route)                                         -         -         -     0 %";
        assert_eq!(lines(&frame(), 80).join("\n"), expected);
        for width in [60, 80, 200] {
            assert!(lines(&frame(), width).iter().all(|line| line.chars().count() <= width.max(61)));
        }
    }
}
