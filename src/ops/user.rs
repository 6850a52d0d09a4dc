//! `msctl user`: the accounts of the embedded auth. Needs no running platform.

use super::context::Context;
use super::error::OpsError;
use crate::auth::accounts::{Account, NewAccount};
use crate::auth::{Auth, AuthOptions};

/// # Errors
/// When the account cannot be made, or the accounts cannot be opened.
pub async fn add(context: &Context, new: NewAccount) -> Result<Account, OpsError> {
    Ok(auth(context)?.add_account(new).await?)
}

/// Every account, by email.
///
/// # Errors
/// When the accounts cannot be opened.
pub async fn list(context: &Context) -> Result<Vec<Account>, OpsError> {
    Ok(auth(context)?.list_accounts().await?)
}

fn auth(context: &Context) -> Result<Auth, OpsError> {
    let platform = context.load()?;
    let folder = context.state(&platform.id)?.auth();
    Ok(Auth::open(AuthOptions { folder: &folder, platform: &platform.id.name, settings: &platform.auth })?)
}
