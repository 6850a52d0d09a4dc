//! Parses, runs the verb, and ends with its exit code.

use std::process::ExitCode;

use clap::Parser;
use msctl::cli::{self, Cli};
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

fn main() -> ExitCode {
    // Ends by itself for --help, --version and usage errors (exit code 2).
    let cli = Cli::parse();
    let _written_at_the_end = log_to_stderr(cli.colors_logs());
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().enable_all().build() else {
        return ExitCode::FAILURE;
    };
    let code = runtime.block_on(cli::run(cli));
    // A blocking read (stdin, a slow disk) must not keep the process from ending.
    runtime.shutdown_background();
    code.into()
}

/// By a thread of its own, which drops lines rather than hold anybody up: whoever should read stderr
/// may have stopped doing so, and the gateway is to serve on.
fn log_to_stderr(colored: bool) -> WorkerGuard {
    let (writer, guard) = tracing_appender::non_blocking(std::io::stderr());
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::WARN.into())
        .with_env_var("MSCTL_LOG")
        .from_env_lossy();
    tracing_subscriber::fmt().with_writer(writer).with_ansi(colored).with_env_filter(filter).init();
    guard
}
