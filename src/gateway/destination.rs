//! Where a request goes, by the door it came through.
//!
//! Decides from the table alone; whether a route's access rule lets the caller in is asked later,
//! of [`guard`](super::guard). Between services there is no such rule: `calls` is what counts.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use http::Method;

use super::door::{Door, Embedded, EmbeddedService};
use super::metrics::RouteStats;
use super::problem::Problem;
use super::routes::{Resolution, Rule, Witness};
use super::service::Service;
use super::table::{Host, RouteTable};
use crate::model::name::ServiceName;
use crate::model::traffic::RoutePolicy;

/// Services and rules are those of the table that was asked.
pub(super) enum Destination<'t> {
    Embedded(Arc<dyn EmbeddedService>),
    Service { service: &'t Arc<Service>, way: Way<'t> },
}

/// By what right a request gets to a service.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way<'t> {
    /// A client's, by a route with an access rule.
    Route(&'t Arc<Rule>),
    /// Another service's, by its `calls`.
    Call,
}

/// What holds for a call between services.
static CALL: LazyLock<RoutePolicy> = LazyLock::new(RoutePolicy::default);

impl<'t> Way<'t> {
    /// Where a request that goes to `service` this way is counted.
    pub(super) fn stats(self, service: &'t Service) -> &'t Arc<RouteStats> {
        match self {
            Self::Route(rule) => &rule.stats,
            Self::Call => &service.calls_stats,
        }
    }

    pub(super) fn policy(self) -> &'t RoutePolicy {
        match self {
            Self::Route(rule) => &rule.policy,
            Self::Call => &CALL,
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'r> {
    /// Lower case, without port.
    pub(super) host: &'r str,
    /// In normal form.
    pub(super) path: &'r str,
    pub(super) method: &'r Method,
    pub(super) caller: Option<&'r ServiceName>,
}

pub(super) fn find<'t>(
    door: &Door,
    asked: Asked<'_>,
    table: &'t RouteTable,
    embedded: &Embedded,
) -> Result<Destination<'t>, Problem> {
    match door {
        Door::Public => match embedded.at_public(asked.path) {
            Some(handler) => Ok(Destination::Embedded(handler)),
            None => by_route(asked, table),
        },
        Door::Internal => match table.internal_site(asked.host) {
            Host::Platform => Ok(Destination::Embedded(Arc::clone(&embedded.internal))),
            Host::Service(callee) => by_call(asked.caller, Some(callee), table),
            Host::Unknown => by_call(asked.caller, None, table),
        },
        Door::Link { callee, .. } => by_call(asked.caller, table.service(callee), table),
        Door::Platform => Ok(Destination::Embedded(Arc::clone(&embedded.internal))),
        Door::Redirect { .. } => Err(Problem::NoRoute),
    }
}

/// Who calls through an inside door: whom the link was made for, the bearer of a service token, or
/// the owner of the address. Address and token must not contradict each other.
pub(super) fn caller(
    door: &Door,
    address: IpAddr,
    token: Option<ServiceName>,
    table: &RouteTable,
) -> Result<Option<ServiceName>, Problem> {
    let known = match door {
        Door::Public | Door::Redirect { .. } => return Ok(None),
        Door::Link { caller, .. } => Some(caller),
        Door::Internal | Door::Platform => table.caller_at(address),
    };
    match (known, token) {
        (Some(address), Some(token)) if *address != token => {
            Err(Problem::CallerContradicts { address: address.clone(), token })
        }
        (known, token) => Ok(token.or_else(|| known.cloned())),
    }
}

fn by_route<'t>(asked: Asked<'_>, table: &'t RouteTable) -> Result<Destination<'t>, Problem> {
    let rule = rule(asked, table, &mut ())?;
    let service = table.service(&rule.service).ok_or(Problem::NoRoute)?;
    Ok(Destination::Service { service, way: Way::Route(rule) })
}

/// The rule that a client's request takes.
pub(super) fn rule<'t>(
    asked: Asked<'_>,
    table: &'t RouteTable,
    witness: &mut impl Witness,
) -> Result<&'t Arc<Rule>, Problem> {
    let resolution = match table.public_site(asked.host) {
        Host::Service(service) => service.routes.resolve_before(asked.path, asked.method, witness),
        Host::Platform => table.resolve(asked.host, asked.path, asked.method, witness),
        Host::Unknown => return Err(Problem::NoHost),
    };
    match resolution {
        Resolution::Found(rule) => Ok(rule),
        Resolution::Method(allowed) => Err(Problem::Method { allowed: list(allowed) }),
        Resolution::Ambiguous => Err(Problem::PathAmbiguous),
        Resolution::NotFound => Err(Problem::NoRoute),
    }
}

fn by_call<'t>(
    caller: Option<&ServiceName>,
    target: Option<&'t Arc<Service>>,
    table: &RouteTable,
) -> Result<Destination<'t>, Problem> {
    let caller = caller.and_then(|name| table.service(name)).ok_or(Problem::CallerUnknown)?;
    let target = target.ok_or(Problem::NoHost)?;
    if caller.may_call(&target.name) {
        return Ok(Destination::Service { service: target, way: Way::Call });
    }
    Err(Problem::CallNotDeclared {
        caller: caller.name.clone(),
        callee: target.name.clone(),
        manifest: caller.manifest.clone(),
    })
}

/// As `Allow` has it; HEAD goes with GET.
fn list(methods: BTreeSet<&str>) -> String {
    let mut methods = methods;
    if methods.contains("GET") {
        methods.insert("HEAD");
    }
    methods.into_iter().collect::<Vec<_>>().join(", ")
}
