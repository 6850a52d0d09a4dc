//! `msctl routes`.

use serde_json::json;

use super::command::{CommandError, FormatArgs};
use crate::admin::RouteRow;
use crate::model::exit::ExitCode;
use crate::ops::{Context, routes};
use crate::ui::printer::{Format, Printer};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  msctl routes\n  msctl routes --format json")]
pub struct Args {
    #[command(flatten)]
    format: FormatArgs,
}

pub async fn run(args: &Args, context: &Context, printer: &Printer) -> Result<ExitCode, CommandError> {
    let rows = routes::routes(context).await?;
    if args.format.format == Format::Text {
        printer.table(&["path", "methods", "access", "service", "ready"], rows.iter().map(row).collect())?;
    } else {
        printer.document(args.format.format, &json!({"schema": "msctl.routes/1", "routes": rows}))?;
    }
    Ok(ExitCode::Ok)
}

fn row(row: &RouteRow) -> Vec<String> {
    let methods = if row.methods.is_empty() { "all".to_owned() } else { row.methods.join(" ") };
    let ready = row.ready.map_or_else(|| "-".to_owned(), |ready| ready.to_string());
    vec![row.path.clone(), methods, row.access.clone(), row.service.clone(), ready]
}
