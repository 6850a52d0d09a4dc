//! `msctl check`.

use super::command::CommandError;
use crate::model::exit::ExitCode;
use crate::ops::Context;
use crate::ui::printer::{Printer, Style};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  msctl check\n  msctl -C ../shop check && git commit -a")]
pub struct Args {}

pub fn run(_: &Args, context: &Context, printer: &Printer) -> Result<ExitCode, CommandError> {
    let platform = context.load()?;
    let services = platform.services.len();
    let noun = if services == 1 { "service" } else { "services" };
    let verdict = printer.paint(Style::Good, "valid");
    printer.say(&format!("{verdict}: {} with {services} {noun}", platform.id.name));
    Ok(ExitCode::Ok)
}
