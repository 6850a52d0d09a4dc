//! `/accounts/{id}`: one's own, or anybody's for an administrator.
//!
//! Somebody else's account and none at all get the same answer, so nobody learns who is here.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;

use super::body::Body;
use super::problem::Problem;
use super::service::Service;
use crate::domain::{Account, AccountId, Caller};

#[derive(Debug, Serialize)]
pub struct AccountView {
    id: String,
    display_name: Option<String>,
    created_at: String,
}

pub async fn show(
    State(service): State<Service>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<AccountView>, Problem> {
    let account = open(&service, &caller, &id).await?;
    Ok(Json(account.into()))
}

pub async fn change(
    State(service): State<Service>,
    caller: Caller,
    Path(id): Path<String>,
    mut body: Body,
) -> Result<Json<AccountView>, Problem> {
    let mut account = open(&service, &caller, &id).await?;
    let Some(name) = body.text("display_name") else { return Err(body.into_problem()) };
    account.display_name = Some(name);
    service.accounts.save(account.clone()).await?;
    Ok(Json(account.into()))
}

pub async fn remove(
    State(service): State<Service>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = visible(&caller, &id)?;
    if service.accounts.remove(&id).await? { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found()) }
}

/// The account, which begins when its owner first asks for it.
async fn open(service: &Service, caller: &Caller, id: &str) -> Result<Account, Problem> {
    let id = visible(caller, id)?;
    match service.accounts.find(&id).await? {
        Some(account) => Ok(account),
        None if caller.owns(&id) => {
            Ok(service.accounts.find_or_keep(Account::new(id, Timestamp::now())).await?)
        }
        None => Err(Problem::not_found()),
    }
}

fn visible(caller: &Caller, id: &str) -> Result<AccountId, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found())?;
    if caller.may_use(&id) { Ok(id) } else { Err(Problem::not_found()) }
}

impl From<Account> for AccountView {
    fn from(account: Account) -> Self {
        Self {
            id: account.id.to_string(),
            display_name: account.display_name.map(|name| name.to_string()),
            created_at: format!("{:.3}", account.created_at),
        }
    }
}
