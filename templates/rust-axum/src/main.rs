//! Starts the service: settings → store → HTTP, until it is asked to stop.
//!
//! `domain` is what the service is about and knows nothing of the others; `store` keeps it in
//! SQLite; `http` offers it to callers. `log` and `request_id` serve all of them.

mod domain;
mod http;
mod log;
mod request_id;
mod settings;
mod store;

#[cfg(test)]
mod tests;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use settings::Settings;
use store::Store;

/// How long requests that are being handled may take after the service was asked to stop.
const GRACE: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error("failed to run", json!({ "cause": error.to_string() }));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let settings = Settings::from_environment()?;
    let store = Store::open(settings.database_url.as_deref())?;
    let listener = TcpListener::bind((settings.host, settings.port)).await?;
    log::info(
        "listening",
        json!({ "port": listener.local_addr()?.port() }),
    );
    serve(listener, http::router(store)).await?;
    log::info("stopped", json!({}));
    Ok(())
}

/// Serves until the service is asked to stop, then finishes what it has begun, within [`GRACE`].
async fn serve(listener: TcpListener, router: Router) -> std::io::Result<()> {
    let server = axum::serve(listener, router).with_graceful_shutdown(asked_to_stop());
    let out_of_patience = async {
        asked_to_stop().await;
        log::info("stopping", json!({}));
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        result = server => result,
        () = out_of_patience => {
            log::warn("requests were cut off", json!({ "after_seconds": GRACE.as_secs() }));
            Ok(())
        }
    }
}

async fn asked_to_stop() {
    // Registering a handler fails only for signals that nobody can handle, such as SIGKILL.
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be handled");
    let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT can be handled");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
