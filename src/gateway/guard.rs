//! Who calls, and whether the route is open to them. Pure, but for the verifier and the counters it is
//! given.

use std::time::SystemTime;

use http::HeaderMap;

use super::credential::Credential;
use super::headers::X_SERVICE_TOKEN;
use super::metrics::TokenStats;
use super::problem::Problem;
use crate::model::name::ServiceName;
use crate::model::principal::{Principal, TokenRejection, TokenVerifier};
use crate::model::route::{Access, Scope};

/// What the subject of a service's own token begins with.
const SERVICE_SUBJECT: &str = "service:";

/// Looks at tokens, and counts what comes of it.
#[derive(Clone, Copy)]
pub(super) struct Tokens<'g> {
    pub(super) verifier: &'g dyn TokenVerifier,
    pub(super) stats: &'g TokenStats,
}

impl Tokens<'_> {
    fn verify(self, token: &str) -> Result<Principal, Problem> {
        let (found, source) = self.verifier.recall(token, SystemTime::now());
        self.stats.count(found.is_ok(), source);
        found.map_err(Problem::TokenRejected)
    }
}

/// The caller of a route, if it is open to them. On a public route a token is optional, and one
/// that is not accepted makes the caller nobody.
pub(super) fn admit(
    access: &Access,
    credential: Credential<'_>,
    tokens: Tokens<'_>,
) -> Result<Option<Principal>, Problem> {
    let proven = verify(credential, tokens).and_then(refuse_services);
    let needed = match access {
        Access::Public => return Ok(proven.unwrap_or(None)),
        Access::Authenticated => None,
        Access::Scopes(scopes) => Some(scopes),
    };
    let principal = proven?.ok_or(Problem::TokenMissing)?;
    match needed {
        Some(scopes) if !scopes.is_subset(&principal.scopes) => {
            let needed = scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ");
            Err(Problem::ScopeMissing { needed })
        }
        _ => Ok(Some(principal)),
    }
}

/// A service's own token is for the inside doors alone: out here it would get past `calls`.
fn refuse_services(principal: Option<Principal>) -> Result<Option<Principal>, Problem> {
    match principal {
        Some(principal) if principal.subject.starts_with(SERVICE_SUBJECT) => {
            Err(Problem::TokenRejected(TokenRejection::WrongParty))
        }
        principal => Ok(principal),
    }
}

/// The caller, or nobody without a token.
pub(super) fn verify(credential: Credential<'_>, tokens: Tokens<'_>) -> Result<Option<Principal>, Problem> {
    match credential {
        Credential::None => Ok(None),
        Credential::Several => Err(Problem::TokensSeveral),
        Credential::Token(token) => tokens.verify(token).map(Some),
    }
}

/// The service that a service token was issued to.
pub(super) fn service_of_token(
    headers: &HeaderMap,
    tokens: Tokens<'_>,
) -> Result<Option<ServiceName>, Problem> {
    let Some(token) = headers.get(X_SERVICE_TOKEN) else { return Ok(None) };
    let token = token.to_str().map_err(|_| Problem::TokenRejected(TokenRejection::Malformed))?;
    let principal = tokens.verify(token)?;
    let name = principal.subject.strip_prefix(SERVICE_SUBJECT).and_then(|name| name.parse().ok());
    name.map(Some).ok_or(Problem::TokenRejected(TokenRejection::Claims))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Accepts `subject scope scope`.
    struct Plain;

    impl TokenVerifier for Plain {
        fn verify(&self, token: &str, _: SystemTime) -> Result<Principal, TokenRejection> {
            let mut words = token.split('.');
            let subject =
                words.next().filter(|subject| *subject != "bad").ok_or(TokenRejection::Signature)?;
            let scopes: BTreeSet<Scope> = words.map(|scope| scope.parse().unwrap()).collect();
            Ok(Principal { subject: subject.to_owned(), scopes, expires_at: SystemTime::UNIX_EPOCH })
        }
    }

    #[test]
    fn a_services_own_token_opens_no_public_route() {
        check_admission(&Access::Authenticated, Credential::Token("service:order"), "token_rejected");
        check_admission(&Access::Public, Credential::Token("service:order"), "anybody");
    }

    fn check_admission(access: &Access, credential: Credential<'_>, expected: &str) {
        let tokens = Tokens { verifier: &Plain, stats: &TokenStats::default() };
        let found = match admit(access, credential, tokens) {
            Ok(principal) => principal.map_or("anybody".to_owned(), |p| p.subject),
            Err(problem) => problem.code().to_owned(),
        };
        assert_eq!(found, expected, "{access} {credential:?}");
    }

    #[test]
    fn each_access_rule_lets_in_whom_it_says() {
        let scopes = Access::Scopes(BTreeSet::from(["w".parse().unwrap(), "r".parse().unwrap()]));
        check_admission(&Access::Public, Credential::None, "anybody");
        check_admission(&Access::Public, Credential::Token("ann"), "ann");
        check_admission(&Access::Public, Credential::Token("bad"), "anybody");
        check_admission(&Access::Authenticated, Credential::None, "token_missing");
        check_admission(&Access::Authenticated, Credential::Token("bad"), "token_rejected");
        check_admission(&Access::Authenticated, Credential::Several, "token_ambiguous");
        check_admission(&Access::Authenticated, Credential::Token("ann"), "ann");
        check_admission(&scopes, Credential::Token("ann"), "scope_missing");
        check_admission(&scopes, Credential::Token("ann.w"), "scope_missing");
        check_admission(&scopes, Credential::Token("ann.w.r.x"), "ann");
    }
}
