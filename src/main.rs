//! Parses, runs the verb, and ends with its exit code.

use std::process::ExitCode;

use clap::Parser;
use msctl::cli::{self, Cli};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

fn main() -> ExitCode {
    // Ends by itself for --help, --version and usage errors (exit code 2).
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(
            EnvFilter::builder()
                .with_default_directive(LevelFilter::WARN.into())
                .with_env_var("MSCTL_LOG")
                .from_env_lossy(),
        )
        .init();
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().enable_all().build() else {
        return ExitCode::FAILURE;
    };
    let code = runtime.block_on(cli::run(cli));
    // A blocking read (stdin, a slow disk) must not keep the process from ending.
    runtime.shutdown_background();
    code.into()
}
