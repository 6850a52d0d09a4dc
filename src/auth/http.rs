//! `/auth/*` and the key set, over HTTP.
//!
//! | Request | Answer |
//! |---|---|
//! | `POST /auth/register` `{name, email, password}` | 201 and the account; 409 `email-taken` |
//! | `POST /auth/login` `{email, password}` | 200, tokens and a cookie; 401 `wrong-credentials`; 429 |
//! | `POST /auth/refresh` `{refresh_token}` | 200, new tokens and cookie; 401 `session-over` |
//! | `POST /auth/logout` (optionally `{refresh_token}`) | 204, the cookie cleared |
//! | `GET /auth/whoami` | 200 and the account of the bearer token or cookie |
//! | `GET /.well-known/jwks.json` | the public keys |
//!
//! Registering tells whether an email has an account (409). That is a choice: without mail there is no
//! other way to say why it failed; logging in never tells.
//!
//! It stands behind the gateway and believes the headers that the gateway sets after removing what a
//! client sent: `X-Request-Id`, the last entry of `X-Forwarded-For`, and `X-Forwarded-Proto`, by which
//! the cookie is `Secure` or not.

use std::net::IpAddr;
use std::time::SystemTime;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jsonwebtoken::jwk::JwkSet;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::accounts::{Account, Accounts, Credentials, Farewell, NewAccount, Tokens};
use super::problem::Problem;
use crate::model::route::Scope;
use crate::store::Secret;

mod body;
mod credentials;

use body::JsonBody;

/// No request has more to say.
const MAX_BODY_BYTES: usize = 16 * 1024;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The whole service. It answers every path, so hand it requests; do not merge it.
pub fn router(accounts: Accounts, keys: JwkSet) -> Router {
    Router::new()
        .route("/auth/register", post(register))
        .route("/auth/login", post(log_in))
        .route("/auth/refresh", post(refresh))
        .route("/auth/logout", post(log_out))
        .route("/auth/whoami", get(who_am_i))
        .with_state(accounts)
        .route("/.well-known/jwks.json", get(|| async move { key_set(&keys) }))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "no-route", "nothing is served at this path"))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "not with this method")
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn(finish))
}

#[derive(Deserialize)]
struct Registration {
    #[serde(default)]
    name: String,
    #[serde(default)]
    email: String,
    password: Option<Secret>,
}

async fn register(
    State(accounts): State<Accounts>,
    JsonBody(given): JsonBody<Registration>,
) -> Result<Response, Problem> {
    let new = NewAccount {
        name: given.name,
        email: given.email,
        password: given.password.unwrap_or_else(|| Secret::new("")),
        // Scopes are given by whoever runs the platform, never taken.
        scopes: std::collections::BTreeSet::new(),
    };
    let account = accounts.register(new, SystemTime::now()).await?;
    Ok((StatusCode::CREATED, axum::Json(AccountView::from(account))).into_response())
}

#[derive(Deserialize)]
struct Login {
    email: Option<String>,
    password: Option<Secret>,
}

async fn log_in(
    State(accounts): State<Accounts>,
    headers: HeaderMap,
    JsonBody(login): JsonBody<Login>,
) -> Result<Response, Problem> {
    let absent = [("email", login.email.is_none()), ("password", login.password.is_none())];
    let (Some(email), Some(password)) = (login.email, login.password) else {
        return Err(body::missing(&absent));
    };
    let credentials = Credentials { email, password, address: client_address(&headers) };
    Ok(token_response(&accounts.log_in(credentials, SystemTime::now()).await?, &headers))
}

#[derive(Deserialize)]
struct Refresh {
    refresh_token: Option<Secret>,
}

async fn refresh(
    State(accounts): State<Accounts>,
    headers: HeaderMap,
    JsonBody(given): JsonBody<Refresh>,
) -> Result<Response, Problem> {
    let token = given.refresh_token.ok_or_else(|| body::missing(&[("refresh_token", true)]))?;
    Ok(token_response(&accounts.renew(token, SystemTime::now()).await?, &headers))
}

#[derive(Default, Deserialize)]
struct Logout {
    refresh_token: Option<Secret>,
}

/// Whatever else is wrong with the request, its sender wants to be logged out: only a body that
/// cannot be read is an error, because the session named in it would live on.
async fn log_out(
    State(accounts): State<Accounts>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let logout = if body.is_empty() { Logout::default() } else { body::parse(&body)? };
    let access = credentials::access_token(&headers).ok();
    let farewell = Farewell { refresh: logout.refresh_token, access };
    accounts.log_out(farewell, SystemTime::now()).await?;
    let cookie = credentials::forget_cookie(&headers);
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

async fn who_am_i(State(accounts): State<Accounts>, headers: HeaderMap) -> Result<Response, Problem> {
    let access = credentials::access_token(&headers)?;
    let account = accounts.who_is(access, SystemTime::now()).await?;
    Ok(axum::Json(AccountView::from(account)).into_response())
}

fn key_set(keys: &JwkSet) -> Response {
    let cache = HeaderValue::from_static("public, max-age=300");
    ([(header::CACHE_CONTROL, cache)], axum::Json(keys)).into_response()
}

#[derive(Serialize)]
struct AccountView {
    id: String,
    name: String,
    email: String,
    scopes: Vec<String>,
}

impl From<Account> for AccountView {
    fn from(account: Account) -> Self {
        let scopes = account.scopes.iter().map(Scope::to_string).collect();
        Self { id: account.id, name: account.name, email: account.email, scopes }
    }
}

#[derive(Serialize)]
struct TokenView<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    refresh_token: &'a str,
}

fn token_response(tokens: &Tokens, headers: &HeaderMap) -> Response {
    let view = TokenView {
        access_token: tokens.access.expose(),
        token_type: "Bearer",
        expires_in: tokens.expires_in.as_secs(),
        refresh_token: tokens.refresh.expose(),
    };
    let cookie = credentials::remember_cookie(tokens, headers);
    ([(header::SET_COOKIE, cookie)], axum::Json(view)).into_response()
}

fn client_address(headers: &HeaderMap) -> Option<IpAddr> {
    let entries = headers.get_all(FORWARDED_FOR).into_iter().next_back()?.to_str().ok()?;
    entries.rsplit(',').next()?.trim().parse().ok()
}

/// Around every request: gives it an id, writes problems out with it, and keeps answers out of
/// caches unless they say otherwise.
async fn finish(mut request: Request, next: Next) -> Response {
    let id = request.headers_mut().remove(REQUEST_ID);
    let id = id.unwrap_or_else(|| {
        HeaderValue::from_str(&Uuid::now_v7().to_string()).expect("a UUID is visible ASCII")
    });
    let mut response = next.run(request).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let allow = response.headers_mut().remove(header::ALLOW);
        response = problem.render(id.to_str().unwrap_or_default());
        response.headers_mut().extend(allow.map(|allow| (header::ALLOW, allow)));
    }
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
