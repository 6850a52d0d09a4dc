//! Which way a request would take, and why: for people who wonder.
//!
//! Decides nothing itself. Every answer comes from what decides about real requests, which lets a
//! witness look on; so what is told here cannot drift away from what is done.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::HOST;
use http::{Method, Request};

use super::client_io::Framing;
use super::destination::{self, Asked};
use super::door;
use super::flag::Flag;
use super::limits::Limits;
use super::message;
use super::path;
use super::policy::canary::{self, Subset};
use super::problem::Problem;
use super::routes::{Rule, Witness};
use super::service::Service;
use super::table::{Host, RouteTable};
use crate::model::explanation::{Answer, Candidate, Destination, Explanation, Question, SCHEMA};
use crate::model::route::{Methods, RoutePrefix};
use crate::model::traffic::{Balance, RateLimit, RequestKey, RoutePolicy};

/// A host that no service has for its own.
const ANY_HOST: &str = "localhost";

/// `own` are the prefixes under which the platform itself answers at the public door.
///
/// # Errors
/// When the question is no request, with the reason.
pub fn explain(table: &RouteTable, own: &[RoutePrefix], question: &Question) -> Result<Explanation, String> {
    let request = request(question)?;
    let mut told = Told { path: request.uri().path().into(), host: String::new(), seen: Seen::default() };
    let answer = told.follow(table, own, &request).unwrap_or_else(|problem| refused(&problem));
    Ok(Explanation {
        schema: SCHEMA.to_owned(),
        method: request.method().to_string(),
        path: told.path.into_owned(),
        host: told.host,
        candidates: told.seen.candidates(request.method(), &answer),
        answer,
    })
}

/// What is known of a request, as far as it came.
struct Told<'r> {
    path: Cow<'r, str>,
    host: String,
    seen: Seen,
}

impl<'r> Told<'r> {
    fn follow(
        &mut self,
        table: &RouteTable,
        own: &[RoutePrefix],
        request: &'r Request<()>,
    ) -> Result<Answer, Problem> {
        message::check(request, Framing::Clear, &Limits::default())?;
        let host = message::authority(request)?.host().into_owned();
        self.host = describe_host(table, &host);
        self.path = path::normalise(request.uri().path())?;
        if let Some(prefix) = own.iter().find(|prefix| door::covers(prefix, &self.path)) {
            return Ok(Answer::Platform { prefix: prefix.to_string() });
        }
        let asked = Asked { host: &host, path: &self.path, method: request.method(), caller: None };
        let rule = destination::rule(asked, table, &mut self.seen)?;
        self.seen.winner = Some(Arc::clone(rule));
        Ok(answer(rule, table.service(&rule.service), &self.path, request))
    }
}

fn request(question: &Question) -> Result<Request<()>, String> {
    let mut request = Request::builder().method(question.method.as_str()).uri(&question.path);
    for (name, value) in &question.headers {
        request = request.header(name, value);
    }
    let has_host = question.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(HOST.as_str()));
    if let Some(host) = question.host.as_deref().or((!has_host).then_some(ANY_HOST)) {
        request = request.header(HOST, host);
    }
    let request = request.body(()).map_err(|error| error.to_string())?;
    if !question.path.starts_with('/') {
        return Err("the path has to start with \"/\"".to_owned());
    }
    Ok(request)
}

fn refused(problem: &Problem) -> Answer {
    Answer::Refused {
        status: problem.status().as_u16(),
        code: problem.code().to_owned(),
        flag: Flag::of(problem).as_str().to_owned(),
        detail: problem.to_string(),
    }
}

fn describe_host(table: &RouteTable, host: &str) -> String {
    match table.public_site(host) {
        Host::Service(service) => format!("{host} is {}'s own name: only its routes count", service.name),
        Host::Unknown => format!("{host} is a name under this platform's domain that no service has"),
        Host::Platform if table.names(host) => {
            format!("{host} is named by routes: those come first, then the ones for any host")
        }
        Host::Platform => format!("{host} is nobody's own name: the path decides"),
    }
}

fn answer(rule: &Rule, service: Option<&Arc<Service>>, path: &str, request: &Request<()>) -> Answer {
    if let Some(redirect) = &rule.policy.redirect {
        return Answer::Redirect { status: redirect.status, to: redirect.to.clone() };
    }
    let Some(service) = service else { return refused(&Problem::NoRoute) };
    let (candidates, canary) = candidates(service, request);
    Answer::Service(Box::new(Destination {
        service: service.name.to_string(),
        route: rule.prefix.to_string(),
        access: rule.access.to_string(),
        forwarded: rule.forwarded.of(path).0.to_owned(),
        policy: policy(&rule.policy),
        balance: format!("{}{canary}", balance(&service.traffic.balance)),
        waiting: candidates.is_empty().then(|| service.waiting().to_owned()),
        instances: candidates,
    }))
}

/// The instances that it may be, and what is to be said of how they were narrowed down.
fn candidates(service: &Service, request: &Request<()>) -> (Vec<String>, String) {
    let now = Instant::now();
    let named = |subset| -> Vec<String> {
        let all = service.among(subset, now).iter().map(|upstream| {
            let ejected = upstream.outlier().is_ejected(now);
            format!("{}{}", upstream.instance(), if ejected { " (left out: it failed)" } else { "" })
        });
        all.collect()
    };
    let Some(policy) = &service.traffic.canary else { return (named(None), String::new()) };
    // The lowest and the highest draw: where both choose the same, chance has no say.
    let choices = [0, 99].map(|draw| canary::choose(policy, request.headers(), draw));
    match choices {
        [Subset::Newest, Subset::Newest] => {
            (named(Some(Subset::Newest)), ", of the newest generation".to_owned())
        }
        [Subset::Older, Subset::Older] => {
            (named(Some(Subset::Older)), ", of the older generations".to_owned())
        }
        _ => (named(None), format!(", {} % of the time of the newest generation", policy.weight)),
    }
}

fn balance(balance: &Balance) -> String {
    match balance {
        Balance::LeastRequest => "the less busy of two at random".to_owned(),
        Balance::RoundRobin => "one after the other".to_owned(),
        Balance::Consistent(key) => format!("always the same for the same {}", describe_key(key)),
    }
}

fn describe_key(key: &RequestKey) -> String {
    match key {
        RequestKey::Client => "client address".to_owned(),
        RequestKey::Subject => "subject".to_owned(),
        RequestKey::Header(name) => format!("header {name}"),
        RequestKey::Cookie(name) => format!("cookie {name}"),
        RequestKey::Everyone => "service".to_owned(),
    }
}

fn policy(policy: &RoutePolicy) -> Vec<(String, String)> {
    let time = |duration: Duration| humantime::format_duration(duration).to_string();
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    let times = &policy.timeouts;
    let mut told = vec![
        ("max_body", policy.max_body.to_string()),
        ("timeout.response", time(times.response)),
        ("timeout.total", time(times.total)),
        ("timeout.idle", time(times.idle)),
        ("retries", policy.retries.attempts.to_string()),
    ];
    if let Some(limit) = &policy.rate_limit {
        told.push(("rate_limit", rate(limit)));
    }
    told.extend([
        ("cors", yes(policy.cors.is_some())),
        ("compress", yes(policy.compress)),
        ("forward_authorization", yes(policy.forward_authorization)),
    ]);
    told.into_iter().map(|(name, text)| (name.to_owned(), text)).collect()
}

fn rate(limit: &RateLimit) -> String {
    let period = humantime::format_duration(limit.period);
    let RateLimit { requests, burst, key, .. } = limit;
    format!("{requests} in {period}, {burst} at once, by {}", describe_key(key))
}

/// What a witness saw.
#[derive(Default)]
struct Seen {
    passed: Vec<Passed>,
    winner: Option<Arc<Rule>>,
}

struct Passed {
    rule: Arc<Rule>,
    covers: bool,
}

impl Witness for Seen {
    fn passes(&mut self, rules: &[Arc<Rule>], covers: bool) {
        for rule in rules {
            match self.passed.iter_mut().find(|passed| Arc::ptr_eq(&passed.rule, rule)) {
                Some(again) => again.covers |= covers,
                None => self.passed.push(Passed { rule: Arc::clone(rule), covers }),
            }
        }
    }
}

impl Seen {
    fn candidates(mut self, method: &Method, answer: &Answer) -> Vec<Candidate> {
        self.passed.sort_by_key(|passed| Reverse(passed.rule.prefix.segments().count()));
        let told = self.passed.iter().map(|passed| {
            let wins = self.winner.as_ref().is_some_and(|winner| Arc::ptr_eq(winner, &passed.rule));
            let because = if wins {
                "it has the longest prefix that covers the path".to_owned()
            } else {
                self.why_not(passed, method, answer)
            };
            candidate(&passed.rule, wins, because)
        });
        told.collect()
    }

    fn why_not(&self, passed: &Passed, method: &Method, answer: &Answer) -> String {
        if !passed.covers {
            return "it is for exactly its own path, and this one goes on".to_owned();
        }
        if matches!(answer, Answer::Refused { code, .. } if *code == Problem::PathAmbiguous.code()) {
            return "the path can be read as one of this rule and as one of another".to_owned();
        }
        // They are sorted: the first that covers it is the longest one.
        let longest = self.passed.iter().find(|passed| passed.covers).map(|passed| &passed.rule.prefix);
        match longest {
            Some(longest) if *longest != passed.rule.prefix => {
                format!("{longest} is longer, and decides alone")
            }
            _ if passed.rule.takes(method) => "another rule of this prefix names the method".to_owned(),
            _ => format!("it does not take {method}"),
        }
    }
}

fn candidate(rule: &Rule, wins: bool, because: String) -> Candidate {
    let none = BTreeSet::new();
    let methods = match &rule.methods {
        Methods::All => &none,
        Methods::Only(methods) => methods,
    };
    Candidate {
        route: rule.prefix.to_string(),
        methods: methods.iter().cloned().collect(),
        service: rule.service.to_string(),
        wins,
        because,
    }
}

#[cfg(test)]
mod tests;
