//! From a path and a method to the rule that covers them. Pure; knows no instances.
//!
//! The longest prefix decides, by whole segments. It decides alone: a method that it does not cover
//! is answered with 405 instead of falling through to a shorter, perhaps laxer prefix.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use http::{HeaderValue, Method};

use super::headers;
use super::metrics::RouteStats;
use super::path::{self, is_ambiguous, literal_segments, matched_segments};
use super::service_state::SharedLimiter;
use crate::model::name::ServiceName;
use crate::model::route::{Access, Methods, RoutePrefix};
use crate::model::traffic::RoutePolicy;

/// Which paths a rule covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The prefix and everything below it.
    Below,
    /// The prefix alone.
    Exact,
}

/// What the service sees of a matched path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forwarded {
    Whole,
    /// Without its first segments, so many, which are these.
    Without {
        segments: usize,
        prefix: HeaderValue,
    },
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pub service: ServiceName,
    pub prefix: RoutePrefix,
    pub reach: Reach,
    pub methods: Methods,
    pub access: Access,
    pub forwarded: Forwarded,
    /// Lower case, without port; empty: any.
    pub hosts: BTreeSet<String>,
    pub policy: RoutePolicy,
    /// Where the policy has a rate limit.
    pub limiter: Option<SharedLimiter>,
    pub(super) stats: Arc<RouteStats>,
}

/// What a path and a method lead to.
#[derive(Debug, PartialEq)]
pub enum Resolution<'t> {
    Found(&'t Arc<Rule>),
    /// The path is known; the methods it takes, upper case.
    Method(BTreeSet<&'t str>),
    /// Read as it stands and read without empty segments and parameters, the path has different
    /// rules: nobody knows which of them the service would mean.
    Ambiguous,
    NotFound,
}

/// Who looks on while a path is resolved, to tell about it.
pub(super) trait Witness {
    /// These rules share a prefix that leads along the path; whether one of them covers all of it.
    fn passes(&mut self, rules: &[Arc<Rule>], covers: bool);
}

/// Nobody does.
impl Witness for () {
    fn passes(&mut self, _: &[Arc<Rule>], _: bool) {}
}

impl Forwarded {
    /// Without this prefix.
    pub(super) fn without(prefix: &str) -> Self {
        match matched_segments(prefix).count() {
            0 => Self::Whole,
            segments => Self::Without { segments, prefix: headers::text(prefix) },
        }
    }

    /// What the service sees of a path, and what is cut off. That is told as the rule has it: a client
    /// may spell it `//evil.example/orders`, and links that begin with it would lead there.
    pub(super) fn of<'p>(&'p self, path: &'p str) -> (&'p str, Option<&'p HeaderValue>) {
        match self {
            Self::Whole => (path, None),
            Self::Without { segments, prefix } => (path::without_prefix(path, *segments), Some(prefix)),
        }
    }
}

/// Rules by the segments of their prefixes.
#[derive(Debug, Default)]
pub struct PathTree {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    children: HashMap<Box<str>, Node>,
    rules: Vec<Arc<Rule>>,
}

impl Rule {
    pub(super) fn takes(&self, method: &Method) -> bool {
        let Methods::Only(methods) = &self.methods else { return true };
        // RFC 9110, section 9.3.2: HEAD is GET without the content.
        methods.contains(method.as_str()) || (method == Method::HEAD && methods.contains("GET"))
    }
}

impl PathTree {
    pub fn insert(&mut self, rule: Arc<Rule>) {
        let mut node = &mut self.root;
        for segment in rule.prefix.segments() {
            node = node.children.entry(segment.into()).or_default();
        }
        node.rules.push(rule);
        // Rules that name their methods come before those that stand for all.
        node.rules.sort_by_key(|rule| matches!(rule.methods, Methods::All));
    }

    /// `path` is in normal form.
    #[cfg(test)]
    pub fn resolve(&self, path: &str, method: &Method) -> Resolution<'_> {
        self.resolve_before(path, method, &mut ())
    }

    pub(super) fn resolve_before(
        &self,
        path: &str,
        method: &Method,
        witness: &mut impl Witness,
    ) -> Resolution<'_> {
        let rules = self.longest(matched_segments(path), witness);
        if is_ambiguous(path) {
            let literal = self.longest(literal_segments(path), witness);
            if !literal.is_empty() && !std::ptr::eq(literal, rules) {
                return Resolution::Ambiguous;
            }
        }
        choose(rules, method)
    }

    fn longest<'s>(
        &self,
        segments: impl Iterator<Item = &'s str>,
        witness: &mut impl Witness,
    ) -> &[Arc<Rule>] {
        let mut segments = segments.peekable();
        let mut node = &self.root;
        let mut best: &[Arc<Rule>] = &[];
        loop {
            let covers = node.covers(segments.peek().is_none());
            witness.passes(&node.rules, covers);
            if covers {
                best = &node.rules;
            }
            match segments.next().and_then(|segment| node.children.get(segment)) {
                Some(child) => node = child,
                None => return best,
            }
        }
    }
}

impl Node {
    fn covers(&self, at_end: bool) -> bool {
        self.rules.iter().any(|rule| at_end || rule.reach == Reach::Below)
    }
}

fn choose<'t>(rules: &'t [Arc<Rule>], method: &Method) -> Resolution<'t> {
    if let Some(rule) = rules.iter().find(|rule| rule.takes(method)) {
        return Resolution::Found(rule);
    }
    if rules.is_empty() {
        return Resolution::NotFound;
    }
    let named = rules.iter().filter_map(|rule| match &rule.methods {
        Methods::Only(methods) => Some(methods),
        Methods::All => None,
    });
    Resolution::Method(named.flatten().map(String::as_str).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(prefix: &str, methods: &[&str]) -> Arc<Rule> {
        Arc::new(Rule {
            service: "order".parse().unwrap(),
            prefix: prefix.parse().unwrap(),
            reach: Reach::Below,
            methods: match methods {
                [] => Methods::All,
                some => Methods::Only(some.iter().map(ToString::to_string).collect()),
            },
            access: Access::Public,
            forwarded: Forwarded::Whole,
            hosts: BTreeSet::new(),
            policy: RoutePolicy::default(),
            limiter: None,
            stats: Arc::default(),
        })
    }

    fn tree(rules: &[(&str, &[&str])]) -> PathTree {
        let mut tree = PathTree::default();
        for (prefix, methods) in rules {
            tree.insert(rule(prefix, methods));
        }
        tree
    }

    fn check(tree: &PathTree, request: &str, expected: &str) {
        let (method, path) = request.split_once(' ').unwrap();
        let found = match tree.resolve(path, &method.parse().unwrap()) {
            Resolution::Found(rule) => rule.prefix.to_string(),
            Resolution::Method(allowed) => format!("only {allowed:?}"),
            other => format!("{other:?}"),
        };
        assert_eq!(found, expected, "{request}");
    }

    #[test]
    fn the_longest_prefix_of_whole_segments_wins() {
        let tree = tree(&[("/orders", &[]), ("/orders/admin", &[]), ("/order", &[])]);
        check(&tree, "GET /orders", "/orders");
        check(&tree, "GET /orders/", "/orders");
        check(&tree, "GET /orders/7", "/orders");
        check(&tree, "GET /orders/admin/x", "/orders/admin");
        check(&tree, "GET /orders/administrator", "/orders");
        check(&tree, "GET /ordersx", "NotFound");
        check(&tree, "GET /", "NotFound");
    }

    #[test]
    fn a_method_that_the_longest_prefix_lacks_does_not_fall_through() {
        let tree = tree(&[("/", &[]), ("/admin", &["GET", "PUT"])]);
        check(&tree, "GET /admin", "/admin");
        check(&tree, "HEAD /admin", "/admin");
        check(&tree, "DELETE /admin/x", "only {\"GET\", \"PUT\"}");
        check(&tree, "DELETE /other", "/");
    }

    #[test]
    fn rules_of_one_prefix_are_told_apart_by_method() {
        let tree = tree(&[("/orders", &[]), ("/orders", &["POST"])]);
        assert!(matches!(tree.resolve("/orders", &Method::POST),
            Resolution::Found(rule) if matches!(rule.methods, Methods::Only(_))));
        assert!(matches!(tree.resolve("/orders", &Method::GET),
            Resolution::Found(rule) if rule.methods == Methods::All));
    }

    #[test]
    fn empty_segments_and_parameters_do_not_get_around_a_rule() {
        let laxer = tree(&[("/", &[]), ("/admin", &[])]);
        check(&laxer, "GET //admin", "Ambiguous");
        check(&laxer, "GET /admin;x", "Ambiguous");
        check(&laxer, "GET /;/admin", "Ambiguous");
        check(&laxer, "GET /admin//x;y", "/admin");
        check(&laxer, "GET //other", "/");
        let alone = tree(&[("/admin", &[])]);
        check(&alone, "GET //admin", "/admin");
        check(&alone, "GET /admin;x/y", "/admin");
    }

    #[test]
    fn an_exact_rule_covers_nothing_below_it() {
        let mut tree = tree(&[("/order", &[])]);
        let live = Rule { reach: Reach::Exact, ..(*rule("/order/health/live", &["GET"])).clone() };
        tree.insert(Arc::new(live));
        check(&tree, "GET /order/health/live", "/order/health/live");
        check(&tree, "GET /order/health/live/x", "/order");
    }

    proptest! {
        #[test]
        fn no_other_matching_prefix_is_longer(
            prefixes in proptest::collection::btree_set("(/[ab]){0,4}", 1..8), path in "(/[ab]){0,6}"
        ) {
            let normal = |text: &str| if text.is_empty() { "/".to_owned() } else { text.to_owned() };
            let mut tree = PathTree::default();
            for prefix in &prefixes {
                tree.insert(rule(&normal(prefix), &[]));
            }
            let covers = |prefix: &&String| path == **prefix || path.starts_with(&format!("{prefix}/"));
            let longest = prefixes.iter().filter(covers).max_by_key(|prefix| prefix.len());
            match (tree.resolve(&normal(&path), &Method::GET), longest) {
                (Resolution::Found(found), Some(longest)) => prop_assert_eq!(found.prefix.as_str(), normal(longest)),
                (found, longest) => prop_assert!(found == Resolution::NotFound && longest.is_none()),
            }
        }
    }
}
