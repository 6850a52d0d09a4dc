//! The resource: list, create, show, remove. Each caller sees only what is theirs.

use std::time::SystemTime;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};

use super::COLLECTION;
use super::body::JsonBody;
use super::caller::Caller;
use super::problem::Problem;
use crate::domain::{Draft, Item};
use crate::store::Store;

/// What a caller sends. What is left out counts as empty, so that one answer names every fault.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct DraftBody {
    name: String,
    note: String,
}

/// What a caller gets.
#[derive(Serialize)]
pub struct ItemBody {
    id: String,
    name: String,
    note: String,
    created_at: String,
}

pub async fn list(
    State(store): State<Store>,
    Caller(owner): Caller,
) -> Result<Json<Vec<ItemBody>>, Problem> {
    let items = store.list(&owner).await?;
    Ok(Json(items.into_iter().map(ItemBody::from).collect()))
}

pub async fn create(
    State(store): State<Store>,
    Caller(owner): Caller,
    JsonBody(body): JsonBody<DraftBody>,
) -> Result<impl IntoResponse, Problem> {
    let draft = Draft {
        name: body.name,
        note: body.note,
    };
    let item = Item::create(&draft, SystemTime::now()).map_err(Problem::invalid)?;
    store.insert(&owner, item.clone()).await?;
    let location = [(header::LOCATION, format!("{COLLECTION}/{}", item.id))];
    Ok((StatusCode::CREATED, location, Json(ItemBody::from(item))))
}

pub async fn show(
    State(store): State<Store>,
    Caller(owner): Caller,
    Path(id): Path<String>,
) -> Result<Json<ItemBody>, Problem> {
    let item = store
        .find(&owner, &id)
        .await?
        .ok_or_else(Problem::not_found)?;
    Ok(Json(item.into()))
}

pub async fn remove(
    State(store): State<Store>,
    Caller(owner): Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    match store.delete(&owner, &id).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found()),
    }
}

impl From<Item> for ItemBody {
    fn from(item: Item) -> Self {
        let created_at = humantime::format_rfc3339_millis(item.created_at).to_string();
        Self {
            id: item.id,
            name: item.name,
            note: item.note,
            created_at,
        }
    }
}
