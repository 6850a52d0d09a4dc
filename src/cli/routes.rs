//! `msctl routes`.

use serde_json::json;

use super::command::{CommandError, FormatArgs};
use crate::admin::RouteRow;
use crate::model::exit::ExitCode;
use crate::model::explanation::{Answer, Destination, Explanation, Question};
use crate::ops::{Context, OpsError, routes};
use crate::ui::printer::{Format, Printer, Style};
use crate::ui::text::{count, escape_control, latency, share};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msctl routes
  msctl routes --format json
  msctl routes --explain GET /orders/7
  msctl routes --explain GET /7 --host order.store.localhost
  msctl routes --explain POST /orders --header 'X-Canary: yes'")]
pub struct Args {
    /// Say which way this request would take, and why
    #[arg(long, env = "MSCTL_EXPLAIN", num_args = 2, value_delimiter = ' ', value_names = ["METHOD", "PATH"])]
    explain: Option<Vec<String>>,
    /// The host name that the explained request is for
    #[arg(long, env = "MSCTL_EXPLAIN_HOST", value_name = "HOST")]
    host: Option<String>,
    /// A header of the explained request; may be given several times
    #[arg(long, env = "MSCTL_EXPLAIN_HEADER", value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    #[command(flatten)]
    format: FormatArgs,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write it as \"Name: value\"")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

pub async fn run(args: Args, context: &Context, printer: &Printer) -> Result<ExitCode, CommandError> {
    let Args { explain, host, header, format } = args;
    if let Some(request) = explain {
        let [method, path] = &request[..] else {
            let reason = "write a method and a path, such as GET /orders/7".to_owned();
            return Err(OpsError::Argument { what: "--explain", text: request.join(" "), reason }.into());
        };
        let question =
            Question { method: method.to_ascii_uppercase(), path: path.clone(), host, headers: header };
        let explanation = routes::explain(context, &question).await?;
        return show(&explanation, format.format, printer);
    }
    let rows = routes::routes(context).await?;
    if format.format != Format::Text {
        printer.document(format.format, &json!({"schema": "msctl.routes/1", "routes": rows}))?;
        return Ok(ExitCode::Ok);
    }
    let is_up = rows.iter().any(|row| row.traffic.is_some());
    let mut header = vec!["path", "methods", "access", "service", "ready"];
    if is_up {
        header.extend(["requests", "errors", "p50", "p99"]);
    }
    printer.table(&header, rows.iter().map(|one| row(one, is_up)).collect())?;
    Ok(ExitCode::Ok)
}

fn row(row: &RouteRow, is_up: bool) -> Vec<String> {
    let methods = if row.methods.is_empty() { "all".to_owned() } else { row.methods.join(" ") };
    let ready = row.ready.map_or_else(|| "-".to_owned(), |ready| ready.to_string());
    let mut cells = vec![row.path.clone(), methods, row.access.clone(), row.service.clone(), ready];
    if is_up {
        let traffic = row.traffic.unwrap_or_default();
        cells.extend([
            count(traffic.requests),
            share(traffic.errors, traffic.requests),
            latency(traffic.durations.percentile(50)),
            latency(traffic.durations.percentile(99)),
        ]);
    }
    cells
}

fn show(explanation: &Explanation, format: Format, printer: &Printer) -> Result<ExitCode, CommandError> {
    if format != Format::Text {
        printer.document(format, explanation)?;
        return Ok(ExitCode::Ok);
    }
    let Explanation { method, path, host, candidates, answer, .. } = explanation;
    let line = |name: &str, text: &str| printer.data(format!("{name:<10} {text}").trim_end());
    line("request", &escape_control(&format!("{method} {path}")))?;
    if !host.is_empty() {
        line("host", host)?;
    }
    for (number, candidate) in candidates.iter().enumerate() {
        let (mark, style) = if candidate.wins { ("✓", Style::Good) } else { ("-", Style::Dim) };
        let methods =
            if candidate.methods.is_empty() { "all".to_owned() } else { candidate.methods.join(" ") };
        let text =
            format!("{mark} {} ({methods}) of {}: {}", candidate.route, candidate.service, candidate.because);
        line(if number == 0 { "routes" } else { "" }, &printer.paint(style, &text))?;
    }
    show_answer(answer, &line)?;
    Ok(ExitCode::Ok)
}

fn show_answer(answer: &Answer, line: &dyn Fn(&str, &str) -> std::io::Result<()>) -> std::io::Result<()> {
    match answer {
        Answer::Refused { status, code, flag, detail } => {
            line("answer", &format!("{status} {code} ({flag}): {detail}"))
        }
        Answer::Platform { prefix } => {
            line("answer", &format!("the platform itself, which has everything below {prefix}"))
        }
        Answer::Redirect { status, to } => line("answer", &format!("{status}, a redirect to {to}")),
        Answer::Service(destination) => show_destination(destination, line),
    }
}

fn show_destination(
    destination: &Destination,
    line: &dyn Fn(&str, &str) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let Destination { service, access, forwarded, policy, balance, instances, waiting, .. } = destination;
    line("access", access)?;
    line("service", &format!("{service}, which sees {forwarded}"))?;
    let policy: Vec<String> = policy.iter().map(|(name, text)| format!("{name} {text}")).collect();
    line("policy", &policy.join(" · "))?;
    line("balance", balance)?;
    match waiting {
        Some(waiting) => line("instances", &format!("none: {waiting}")),
        None => line("instances", &instances.join(", ")),
    }
}
