//! The id of the request that is being handled, known to everything that runs on its behalf.

use axum::http::{HeaderMap, HeaderName};
use uuid::Uuid;

pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

const MAX_LENGTH: usize = 128;

tokio::task_local! {
    static REQUEST_ID: String;
}

/// The id that the request came with, or a new one.
pub fn of(headers: &HeaderMap) -> String {
    let given = headers.get(HEADER).and_then(|value| value.to_str().ok());
    let usable = given.filter(|id| !id.is_empty() && id.len() <= MAX_LENGTH);
    usable.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

/// Does `work` on behalf of the request `id`.
pub async fn scope<T>(id: String, work: impl Future<Output = T>) -> T {
    REQUEST_ID.scope(id, work).await
}

/// The id of the request that this code runs for, if it runs for one.
pub fn current() -> Option<String> {
    REQUEST_ID.try_with(Clone::clone).ok()
}
