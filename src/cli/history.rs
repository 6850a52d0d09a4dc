//! `msctl history`.

use std::num::NonZeroUsize;
use std::time::SystemTime;

use serde::Serialize;
use serde_json::json;

use super::command::{CommandError, FormatArgs};
use crate::model::deployment::{Deployment, Outcome, SCHEMA, Stage};
use crate::model::exit::ExitCode;
use crate::ops::{Context, history};
use crate::ui::printer::{Format, Printer};
use crate::ui::text::{age, cut, duration};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msctl history                 the latest deployments of all services
  msctl history order -n 5
  msctl history --format json | jq '.deployments[0].timings_ms'
  msctl history --format jsonl | jq -r '.service + \" \" + .outcome.kind'")]
pub struct Args {
    /// Only this service
    service: Option<String>,
    /// At most this many deployments
    #[arg(short = 'n', long, env = "MSCTL_LIMIT", value_name = "COUNT", default_value = "20")]
    limit: NonZeroUsize,
    #[command(flatten)]
    format: FormatArgs,
}

pub async fn run(args: Args, context: &Context, printer: &Printer) -> Result<ExitCode, CommandError> {
    let request = history::Request { service: args.service, most: args.limit.get() };
    let history::Chronicle { platform, deployments } = history::history(context, &request).await?;
    match args.format.format {
        Format::Text if deployments.is_empty() => {
            printer.say("nothing was deployed; start it with: msctl up")
        }
        Format::Text => printer.table(&HEADER, rows(&deployments, SystemTime::now()))?,
        Format::Json => {
            let document = json!({"schema": SCHEMA, "platform": platform, "deployments": deployments});
            printer.document(Format::Json, &document)?;
        }
        Format::Jsonl => {
            let line = |deployment| Line { schema: "msctl.deployment/1", deployment };
            deployments.iter().try_for_each(|one| printer.document(Format::Jsonl, &line(one)))?;
        }
    }
    Ok(ExitCode::Ok)
}

/// One line of a list that is read line by line.
#[derive(Serialize)]
struct Line<'a> {
    schema: &'static str,
    #[serde(flatten)]
    deployment: &'a Deployment,
}

const HEADER: [&str; 6] = ["service", "version", "when", "cause", "took", "outcome"];

/// What every terminal has.
const WIDTH: usize = 80;
/// Between two columns.
const GAP: usize = 2;
/// Names of services give way to what became of them.
const LONGEST_NAME: usize = 20;

/// The cells of a table that fits: what cannot be said in full is cut.
fn rows(deployments: &[Deployment], now: SystemTime) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = deployments.iter().map(|one| row(one, now)).collect();
    let widest = |rows: &[Vec<String>], column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([HEADER[column].len()]).max().unwrap_or_default()
    };
    let fixed: usize = [0, 1, 2, 4].into_iter().map(|column| widest(&rows, column)).sum();
    let room = WIDTH.saturating_sub(fixed + GAP * (HEADER.len() - 1));
    let cause = widest(&rows, 3).min(room / 2);
    for row in &mut rows {
        row[3] = cut(&row[3], cause);
        row[5] = cut(&row[5], room - cause);
    }
    rows
}

fn row(one: &Deployment, now: SystemTime) -> Vec<String> {
    vec![
        cut(&one.service, LONGEST_NAME),
        version(one),
        age(one.began, now),
        one.cause.to_string(),
        one.took().map_or_else(|| "-".to_owned(), duration),
        match &one.outcome {
            Outcome::Failed { failure } if one.attempts > 1 => {
                format!("failed ×{}: {}", one.attempts, failure.message)
            }
            outcome => outcome.to_string(),
        },
    ]
}

/// What never started has no version: the next one that does gets the number.
fn version(one: &Deployment) -> String {
    let has_run = one.timings.at(Stage::Started).is_some() || one.was_live();
    if has_run || one.is_open() { format!("v{}", one.generation) } else { "-".to_owned() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::deployment::{Cause, Recipe, Stage};
    use crate::model::event::Failure;

    fn deployment(service: &str, cause: Cause, took: Option<u64>, outcome: Outcome) -> Deployment {
        let took = took.map(|millis| (Stage::Switched, Duration::from_millis(millis)));
        Deployment {
            service: service.into(),
            number: 1,
            generation: 12,
            cause,
            began: SystemTime::UNIX_EPOCH,
            timings: took.into_iter().collect(),
            outcome,
            attempts: 3,
            stopped: None,
            recipe: Recipe::default(),
        }
    }

    #[test]
    fn the_table_fits_into_80_columns_however_much_there_is_to_say() {
        let paths = vec!["src/a/rather/long/path/main.rs".to_owned(), "b".to_owned()];
        let failure = Failure {
            message: "order-processing.v12.1 exited with code 101 before it was ready".into(),
            ..Failure::default()
        };
        let shown = rows(
            &[
                deployment("cart", Cause::FirstStart, Some(41_900), Outcome::Live),
                deployment(
                    "order-processing-and-more",
                    Cause::SourcesChanged { paths, more: 3, uncounted: false },
                    Some(125_000),
                    Outcome::Failed { failure },
                ),
            ],
            SystemTime::UNIX_EPOCH + Duration::from_secs(7_300),
        );
        let lines: Vec<String> = shown.iter().map(|row| row.join("  ")).collect();
        assert_eq!(lines[0], "cart  v12  2h  first start  41.9 s  live");
        assert_eq!(lines[1], "order-processing-an…  v12  2h  src/a/rather/lo…  2 m 5 s  failed ×3: orde…");
        let widths = (0..6).map(|column| shown.iter().map(|row| row[column].chars().count()).max().unwrap());
        let headed = widths.zip(HEADER).map(|(width, title)| width.max(title.len()));
        assert!(headed.sum::<usize>() + 10 <= 80);
    }
}
