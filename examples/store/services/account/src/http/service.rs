//! The routes, and the loop that serves them.

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use tokio::net::TcpListener;

use super::problem::Problem;
use super::{accounts, health, request};
use crate::log::Log;
use crate::store::Accounts;

/// What the handlers share.
#[derive(Debug, Clone)]
pub struct Service {
    pub accounts: Accounts,
    pub log: Log,
}

/// Serves until `asked_to_stop`, then finishes the requests under way.
pub async fn serve(
    listener: TcpListener,
    service: Service,
    asked_to_stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router(service)).with_graceful_shutdown(asked_to_stop).await
}

pub fn router(service: Service) -> Router {
    Router::new()
        .route("/accounts/{id}", get(accounts::show).put(accounts::change).delete(accounts::remove))
        .nest("/health", health::routes())
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(from_fn_with_state(service.log.clone(), request::observe))
        .with_state(service)
}
