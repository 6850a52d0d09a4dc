//! Whether the process lives, and whether it can take requests.

use axum::extract::State;
use axum::http::StatusCode;

use super::problem::Problem;
use crate::store::Store;

pub async fn live() -> StatusCode {
    StatusCode::OK
}

pub async fn ready(State(store): State<Store>) -> Result<StatusCode, Problem> {
    match store.check().await {
        Ok(()) => Ok(StatusCode::OK),
        Err(error) => Err(Problem::unavailable(&error)),
    }
}
