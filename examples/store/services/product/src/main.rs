//! Reads the settings, opens the store, and serves until it is asked to stop.

use std::error::Error;
use std::process::ExitCode;

use product::http::{self, Service};
use product::log::Log;
use product::settings::Settings;
use product::store::Catalogue;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    let settings = Settings::from_environment(|name| std::env::var(name).ok());
    let log = Log::new(&settings.service, settings.log_level);
    match run(settings, log.clone()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log.error("failed to run", json!({ "error": error.to_string() }));
            ExitCode::FAILURE
        }
    }
}

async fn run(settings: Settings, log: Log) -> Result<(), Box<dyn Error>> {
    let products = Catalogue::open(&settings.database)?;
    let listener = TcpListener::bind(settings.listen).await?;
    log.info("listening", json!({ "address": listener.local_addr()?, "generation": settings.generation }));
    http::serve(listener, Service { products, log: log.clone() }, asked_to_stop()?).await?;
    log.info("stopped", json!({}));
    Ok(())
}

/// Listens for the signals at once, so that one arriving early is not lost, and resolves at the first.
fn asked_to_stop() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
