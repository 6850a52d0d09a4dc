//! `msctl doctor`.

use serde_json::{Value, json};

use super::command::{CommandError, FormatArgs};
use crate::model::exit::ExitCode;
use crate::ops::Context;
use crate::ops::doctor::{Finding, Verdict, examine};
use crate::ui::printer::{Format, Printer, Style};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  msctl doctor\n  msctl doctor --format json")]
pub struct Args {
    #[command(flatten)]
    format: FormatArgs,
}

pub async fn run(args: &Args, context: &Context, printer: &Printer) -> Result<ExitCode, CommandError> {
    let findings = examine(context).await;
    if args.format.format == Format::Text {
        findings.iter().try_for_each(|finding| show(finding, printer))?;
    } else {
        let findings: Vec<Value> = findings.iter().map(document).collect();
        printer.document(args.format.format, &json!({"schema": "msctl.doctor/1", "findings": findings}))?;
    }
    let is_bad = findings.iter().any(|finding| finding.verdict == Verdict::Bad);
    Ok(if is_bad { ExitCode::Failed } else { ExitCode::Ok })
}

fn show(finding: &Finding, printer: &Printer) -> std::io::Result<()> {
    let (mark, style) = match finding.verdict {
        Verdict::Good => ("ok  ", Style::Good),
        Verdict::Wanting => ("note", Style::Strong),
        Verdict::Bad => ("bad ", Style::Bad),
    };
    printer.data(&format!("{}  {}: {}", printer.paint(style, mark), finding.subject, finding.detail))?;
    finding.advice.iter().try_for_each(|advice| printer.data(&format!("      hint: {advice}")))
}

fn document(finding: &Finding) -> Value {
    let verdict = match finding.verdict {
        Verdict::Good => "ok",
        Verdict::Wanting => "note",
        Verdict::Bad => "bad",
    };
    json!({"subject": finding.subject, "verdict": verdict, "detail": finding.detail, "advice": finding.advice})
}
