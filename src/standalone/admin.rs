//! The gateway's own endpoints, on a listener of their own: for probes, scrapers and people with a
//! terminal. Whoever reaches it reads it, so it belongs on an inner address; what a browser sends is
//! refused.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::fleet::Fleet;
use super::status::{Report, Status};
use crate::gateway::{Body, EmbeddedService, Gateway, RouteRow, metrics};
use crate::model::catalog::EndpointState;
use crate::model::route::Methods;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const METRICS: HeaderValue = HeaderValue::from_static(metrics::CONTENT_TYPE);

pub struct Admin {
    /// The one that clients come to.
    pub gateway: Gateway,
    pub status: Arc<Status>,
    pub fleet: Arc<Fleet>,
}

impl EmbeddedService for Admin {
    fn call(&self, request: Request<Incoming>) -> BoxFuture<'_, Response<Body>> {
        Box::pin(std::future::ready(self.answer(request.method(), request.uri().path())))
    }
}

impl Admin {
    fn answer(&self, method: &Method, path: &str) -> Response<Body> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "GET alone\n");
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        match path {
            "/healthz" => text(StatusCode::OK, "ok\n"),
            "/readyz" => readiness(&self.status.report()),
            "/config" => document(StatusCode::OK, &configuration(&self.status.report())),
            "/routes" => document(StatusCode::OK, &self.routes()),
            "/metrics" => respond(StatusCode::OK, METRICS, metrics::render(&self.gateway.sight())),
            _ => text(StatusCode::NOT_FOUND, "there are /healthz, /readyz, /metrics, /routes and /config\n"),
        }
    }

    fn routes(&self) -> Value {
        let members = self.fleet.members();
        let endpoints = members.iter().map(|member| {
            json!({
                "instance": member.name.to_string(),
                "address": member.address.to_string(),
                "state": state(member.state),
            })
        });
        let table = self.fleet.table();
        json!({
            "schema": "msctl.gateway.routes/1",
            "routes": table.rows().iter().map(route).collect::<Vec<_>>(),
            "endpoints": endpoints.collect::<Vec<_>>(),
        })
    }
}

fn readiness(report: &Report) -> Response<Body> {
    let obstacles = report.obstacles();
    let status = if obstacles.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    document(status, &json!({ "ready": obstacles.is_empty(), "obstacles": obstacles }))
}

fn configuration(report: &Report) -> Value {
    let show = |at| humantime::format_rfc3339_seconds(at).to_string();
    let refused = report.refused.as_ref();
    json!({
        "schema": "msctl.gateway.config/1",
        "generation": report.generation,
        "loaded_at": report.loaded_at.map(show),
        "last_error": refused.map(|refused| json!({ "at": show(refused.at), "message": refused.reason })),
    })
}

fn route(row: &RouteRow) -> Value {
    let methods: Vec<&String> = match &row.methods {
        Methods::All => Vec::new(),
        Methods::Only(methods) => methods.iter().collect(),
    };
    json!({
        "host": row.host,
        "path": row.prefix.as_str(),
        "methods": methods,
        "access": row.access.to_string(),
        "service": row.service.as_str(),
        "ready": row.ready,
        "endpoints": row.endpoints,
    })
}

fn state(state: EndpointState) -> &'static str {
    match state {
        EndpointState::Starting => "not ready",
        EndpointState::Ready => "ready",
        EndpointState::Draining => "draining",
    }
}

fn document(status: StatusCode, value: &Value) -> Response<Body> {
    respond(status, JSON, format!("{value}\n"))
}

fn text(status: StatusCode, text: &str) -> Response<Body> {
    respond(status, TEXT, text.to_owned())
}

fn respond(status: StatusCode, content_type: HeaderValue, body: String) -> Response<Body> {
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
