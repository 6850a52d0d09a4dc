//! `msctl exec`.

use std::io::IsTerminal;

use super::command::CommandError;
use crate::model::exit::ExitCode;
use crate::ops::{Context, exec};
use crate::runtime::{ExecRequest, Terminal};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msctl exec order -- sh
  msctl exec order -- env
  echo 'select 1' | msctl exec order -- sqlite3 /data/order.db

The command's own exit code is passed on.")]
pub struct Args {
    /// The service
    service: String,
    /// The command and its arguments
    #[arg(required = true, last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub async fn run(args: Args, context: &Context) -> Result<ExitCode, CommandError> {
    let attached = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let terminal = if attached { Terminal::Attached } else { Terminal::None };
    let code = exec::exec(context, &args.service, &ExecRequest { argv: args.command, terminal }).await?;
    Ok(ExitCode::of_child(code))
}
