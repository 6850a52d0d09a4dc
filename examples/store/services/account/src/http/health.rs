//! Alive: the process answers. Ready: it can do its work.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::problem::Problem;
use super::service::Service;

pub fn routes() -> Router<Service> {
    Router::new().route("/live", get(live)).route("/ready", get(ready))
}

async fn live() -> Json<Value> {
    Json(json!({ "status": "live" }))
}

async fn ready(State(service): State<Service>) -> Result<Json<Value>, Problem> {
    service.accounts.check().await.map_err(|error| Problem::not_ready(&error))?;
    Ok(Json(json!({ "status": "ready" })))
}
