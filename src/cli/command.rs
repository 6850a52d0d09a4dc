//! The grammar, and the way from a parsed command to its verb.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::{Args, CommandFactory, Parser, Subcommand};

use super::{
    check, describe, doctor, down, du, events, exec, gateway, history, logs, new, ps, rollback, routes,
    scale, shell, tls, token, top, up, user,
};
use crate::logs::parse_since;
use crate::model::exit::ExitCode;
use crate::ops::{Context, OpsError};
use crate::ui::printer::{Color, Format, Printer};

/// Scaffold and run a microservice platform: containers behind one gateway, with registry, auth and
/// configuration built in.
#[derive(Debug, Parser)]
#[command(name = "msctl", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  msctl new platform shop && cd shop
  msctl new service orders --template rust-axum
  msctl up -d
  TOKEN=$(msctl token issue --subject me)
  curl -H \"Authorization: Bearer $TOKEN\" localhost:8080/orders
  msctl down

Exit codes: 0 ok, 1 failed, 2 usage, 3 engine unreachable, 4 timed out,
5 unhealthy, 6 conflict, 130 cancelled.")]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub struct Global {
    /// Look for the platform in this folder, and upwards from there
    #[arg(short = 'C', long, global = true, env = "MSCTL_DIRECTORY", value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// When to use colours
    #[arg(long, global = true, env = "MSCTL_COLOR", value_name = "WHEN", default_value = "auto")]
    pub color: Color,
    /// Keep the state of platforms below this folder
    #[arg(long, global = true, env = "MSCTL_STATE_DIR", value_name = "DIR", hide_short_help = true)]
    pub state_dir: Option<PathBuf>,
}

/// `--format`, for the verbs that give data.
#[derive(Debug, Args)]
pub struct FormatArgs {
    /// The form of the output
    #[arg(long, env = "MSCTL_FORMAT", value_name = "FORM", default_value = "text")]
    pub format: Format,
}

/// The value of a flag's variable: what people write for yes and for no. Empty is not set.
pub fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "" | "0" | "false" | "no" | "off" => Ok(false),
        _ => Err("write \"1\" for yes or \"0\" for no".to_owned()),
    }
}

/// What `--since` says: a moment, or how long ago.
///
/// # Errors
/// When it is neither.
pub fn since(text: &str) -> Result<SystemTime, OpsError> {
    parse_since(text, SystemTime::now()).map_err(|error| OpsError::Argument {
        what: "--since",
        text: text.to_owned(),
        reason: error.to_string(),
    })
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write the files of a new platform or service
    #[command(subcommand)]
    New(new::New),
    /// Build and run the platform, or change the one that runs
    Up(up::Args),
    /// Stop the platform and remove everything that belongs to it
    Down(down::Args),
    /// Show how the services are
    Ps(ps::Args),
    /// Show all there is to know of a service
    Describe(describe::Args),
    /// Show what the gateway answers to
    Routes(routes::Args),
    /// Show what the gateway is doing right now
    Top(top::Args),
    /// Show what services print
    Logs(logs::Args),
    /// Show what was deployed, why, how long it took and what became of it
    History(history::Args),
    /// Show what builds have left on this machine, and remove what is old
    Du(du::Args),
    /// Show what happens on the platform
    Events(events::Args),
    /// Run more or fewer instances of services
    Scale(scale::ScaleArgs),
    /// Replace the instances of services by new ones, without a gap
    Restart(scale::RestartArgs),
    /// Deploy services anew, by their sources as they are
    Redeploy(rollback::RedeployArgs),
    /// Run what an earlier version of a service ran
    Rollback(rollback::RollbackArgs),
    /// Run a command inside a running instance
    Exec(exec::Args),
    /// Make and examine access tokens
    #[command(subcommand)]
    Token(token::Token),
    /// Trust the certificates that msctl makes
    #[command(subcommand)]
    Tls(tls::Tls),
    /// Manage the accounts of the embedded auth
    #[command(subcommand)]
    User(user::User),
    /// Serve endpoints that run elsewhere: the gateway alone, without a platform
    Gateway(gateway::Args),
    /// Check the manifest and every service.toml, without starting anything
    Check(check::Args),
    /// Check what msctl needs, and say what is missing
    Doctor(doctor::Args),
    /// Print the completions for a shell
    Completions(shell::Args),
    /// Serve a platform until it is told to stop (started by `up -d`)
    #[command(hide = true)]
    Host(up::HostArgs),
}

/// Why a command could not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Ops(#[from] OpsError),
    /// Writing the output failed; a closed pipe is the reader's good right.
    #[error("cannot write the output: {0}")]
    Output(#[from] std::io::Error),
}

impl Cli {
    /// Whether what is logged to stderr is coloured.
    #[must_use]
    pub fn colors_logs(&self) -> bool {
        Printer::new(self.global.color, no_color()).is_colored()
    }
}

/// Runs a command to its exit code, saying on the way what there is to say.
pub async fn run(cli: Cli) -> ExitCode {
    let printer = Printer::new(cli.global.color, no_color());
    let outcome = match context(&cli.global) {
        Ok(context) => dispatch(cli.command, &context, &printer).await,
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(code) => code,
        Err(CommandError::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::Ok,
        Err(CommandError::Output(error)) => {
            printer.fail(&CommandError::Output(error).to_string(), None);
            ExitCode::Failed
        }
        Err(CommandError::Ops(error)) => {
            if !matches!(error, OpsError::Cancelled) {
                printer.fail(&error.to_string(), error.hint().as_deref());
            }
            error.exit_code()
        }
    }
}

async fn dispatch(command: Command, context: &Context, printer: &Printer) -> Result<ExitCode, CommandError> {
    match command {
        Command::New(new) => new::run(&new, context, printer),
        Command::Up(args) => up::run(args, context, printer).await,
        Command::Down(args) => down::run(&args, context, printer).await,
        Command::Ps(args) => ps::run(&args, context, printer).await,
        Command::Describe(args) => describe::run(&args, context, printer).await,
        Command::Routes(args) => routes::run(args, context, printer).await,
        Command::Top(args) => top::run(&args, context, printer).await,
        Command::Logs(args) => logs::run(args, context, printer).await,
        Command::History(args) => history::run(args, context, printer).await,
        Command::Du(args) => du::run(&args, context, printer).await,
        Command::Events(args) => events::run(args, context, printer).await,
        Command::Scale(args) => scale::run_scale(args, context, printer).await,
        Command::Restart(args) => scale::run_restart(args, context, printer).await,
        Command::Redeploy(args) => rollback::run_redeploy(args, context, printer).await,
        Command::Rollback(args) => rollback::run(args, context, printer).await,
        Command::Exec(args) => exec::run(args, context).await,
        Command::Token(token) => token::run(token, context, printer),
        Command::Tls(tls) => tls::run(&tls, context, printer),
        Command::User(user) => user::run(user, context, printer).await,
        Command::Gateway(args) => gateway::run(args, context, printer).await,
        Command::Check(args) => check::run(&args, context, printer),
        Command::Doctor(args) => doctor::run(&args, context, printer).await,
        Command::Completions(args) => shell::run(&args, Cli::command(), printer),
        Command::Host(args) => up::run_host(&args, context).await,
    }
}

fn context(global: &Global) -> Result<Context, OpsError> {
    let directory = match &global.directory {
        Some(directory) => directory.clone(),
        None => std::env::current_dir().map_err(OpsError::io("find the current folder"))?,
    };
    // Other processes, in other folders, are told of both.
    let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
    Ok(Context {
        directory: absolute(directory),
        state_dir: global.state_dir.clone().map(absolute),
        xdg_state_home: std::env::var_os("XDG_STATE_HOME").map(PathBuf::from),
        docker_host: std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty()),
    })
}

/// Whether the variable is set to anything (no-color.org).
fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
