//! The graph of calls has no cycle: else no service of it could start first.

use std::collections::BTreeMap;

use crate::manifest::problems::Problems;
use crate::manifest::service_file::Draft;
use crate::manifest::source::Located;
use crate::model::name::ServiceName;

/// A tangle has very many cycles, and each one that is resolved resolves others.
const MAX_REPORTED: usize = 10;

type Graph<'a> = BTreeMap<&'a ServiceName, Vec<&'a Located<ServiceName>>>;
/// A call, with the service that makes it.
type Edge<'a> = (&'a ServiceName, &'a Located<ServiceName>);

pub fn check(drafts: &[Draft], problems: &Problems) {
    let mut graph = Graph::new();
    for draft in drafts {
        let others = draft.calls.iter().filter(|call| call.value != draft.name.value);
        graph.entry(&draft.name.value).or_default().extend(others);
    }
    for _ in 0..MAX_REPORTED {
        prune(&mut graph);
        let Some(cycle) = find_cycle(&graph) else { return };
        report(&cycle, problems);
        for (from, call) in cycle {
            graph.entry(from).or_default().retain(|other| other.value != call.value);
        }
    }
}

/// Takes away what is on no cycle because its calls lead nowhere. Every call that is left leads to
/// a service that calls again.
fn prune(graph: &mut Graph<'_>) {
    loop {
        let before = graph.len();
        graph.retain(|_, calls| !calls.is_empty());
        let left: Vec<&ServiceName> = graph.keys().copied().collect();
        let is_left = |call: &&Located<ServiceName>| left.binary_search(&&call.value).is_ok();
        for calls in graph.values_mut() {
            calls.retain(is_left);
        }
        if graph.len() == before && graph.values().all(|calls| !calls.is_empty()) {
            return;
        }
    }
}

/// Follows the first call of each service until it meets one again.
fn find_cycle<'a>(graph: &Graph<'a>) -> Option<Vec<Edge<'a>>> {
    let mut walk: Vec<Edge<'a>> = Vec::new();
    let mut at = *graph.keys().next()?;
    loop {
        if let Some(start) = walk.iter().position(|(from, _)| *from == at) {
            let mut cycle = walk.split_off(start);
            let first = (0..cycle.len()).min_by_key(|&index| cycle[index].0).unwrap_or(0);
            cycle.rotate_left(first);
            return Some(cycle);
        }
        let call = *graph.get(at)?.first()?;
        walk.push((at, call));
        at = &call.value;
    }
}

fn report(cycle: &[Edge<'_>], problems: &Problems) {
    let Some((first, call)) = cycle.first() else { return };
    let names: Vec<&str> = cycle.iter().map(|(from, _)| from.as_str()).chain([first.as_str()]).collect();
    let edge = |(from, call): &Edge<'_>| format!("\"{from}\" calls \"{}\" at {}", call.value, call.place);
    problems.report_with_notes(
        &call.place,
        format!("calls go in a circle: {}", names.join(" → ")),
        cycle.iter().map(edge).collect(),
        "take one of these calls out, or make one service of them",
    );
}
