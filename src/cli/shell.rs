//! `msctl completions`.

use clap_complete::Shell;

use super::command::CommandError;
use crate::model::exit::ExitCode;
use crate::ui::printer::Printer;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msctl completions bash > ~/.local/share/bash-completion/completions/msctl
  msctl completions fish > ~/.config/fish/completions/msctl.fish")]
pub struct Args {
    /// The shell
    shell: Shell,
}

pub fn run(args: &Args, mut command: clap::Command, printer: &Printer) -> Result<ExitCode, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "msctl", &mut script);
    printer.data(String::from_utf8_lossy(&script).trim_end())?;
    Ok(ExitCode::Ok)
}
