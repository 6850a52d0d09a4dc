//! `msctl token`: tokens for scripts and people, signed with the platform's own key. Needs no
//! running platform.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use super::context::Context;
use super::error::OpsError;
use crate::auth::inspect::{Inspection, inspect};
use crate::auth::verify::Verifier;
use crate::auth::{AuthError, Signer, TokenRequest};
use crate::model::route::Scope;

#[derive(Debug, Clone)]
pub struct Request {
    pub subject: String,
    pub scopes: BTreeSet<Scope>,
    /// `None` takes what the manifest says.
    pub lifetime: Option<Duration>,
    pub audience: Option<String>,
}

/// Signs a token; the text is the token and nothing else.
///
/// # Errors
/// When the key cannot be read or made.
pub fn issue(context: &Context, request: Request) -> Result<String, OpsError> {
    let signer = signer(context)?;
    let mut token = TokenRequest::for_subject(request.subject);
    token.scopes = request.scopes;
    token.lifetime = request.lifetime;
    token.audience = request.audience;
    Ok(signer.issue(&token, SystemTime::now())?.expose().to_owned())
}

/// Takes any token apart and says whether this platform would accept it.
///
/// # Errors
/// When the key cannot be read or made.
pub fn examine(context: &Context, token: &str) -> Result<Inspection, OpsError> {
    let verifier = Verifier::new(&signer(context)?);
    Ok(inspect(token, Some(&verifier), SystemTime::now()))
}

fn signer(context: &Context) -> Result<Signer, OpsError> {
    let platform = context.load()?;
    let folder = context.state(&platform.id)?.auth();
    Ok(Signer::open(&folder, &platform.id.name, &platform.auth).map_err(AuthError::from)?)
}
