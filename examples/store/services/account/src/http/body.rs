//! Reads JSON bodies field by field, so that everything wrong with one is said at once.

use std::fmt::Display;
use std::str::FromStr;

use axum::Json;
use axum::extract::{FromRequest, Request};
use serde_json::Value;

use super::problem::{Fault, Problem};

/// The JSON body of a request, with what was found wrong so far.
#[derive(Debug)]
pub struct Body {
    json: Value,
    faults: Vec<Fault>,
}

impl Body {
    /// The field as a `T`; `None` is remembered as a fault.
    pub fn text<T: FromStr<Err: Display>>(&mut self, field: &'static str) -> Option<T> {
        let read = match &self.json[field] {
            Value::String(text) => text.parse().map_err(|error: T::Err| error.to_string()),
            Value::Null => Err("is required".to_owned()),
            _ => Err("must be a string".to_owned()),
        };
        read.map_err(|message| self.faults.push(Fault { field, message })).ok()
    }

    pub fn into_problem(self) -> Problem {
        Problem::invalid(self.faults)
    }
}

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::<Value>::from_request(request, state).await {
            Ok(Json(json)) => Ok(Self { json, faults: Vec::new() }),
            Err(rejection) => Err(Problem::unreadable(rejection.status(), rejection.body_text())),
        }
    }
}
