//! Inputs and the effects that follow, without a loop, a clock or a runtime.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use tokio::time::Instant;

use super::*;
use crate::engine::executor::Report;
use crate::engine::input::Planned;
use crate::engine::status;
use crate::engine::tests::fixtures::{instance, name_of, names, platform, service};
use crate::engine::trouble::{CRASH_LOOP, LONGEST_RETRY};
use crate::model::catalog::{Catalog, Endpoint, EndpointState};
use crate::model::observed::InstanceState;
use crate::model::observed::ObservedInstance;
use crate::model::status::ServiceState;
use crate::plan::{Action, Cause, Plan, Step, StepId};

mod looking;
mod orders;
mod simulation;
mod waiting;
mod walk;

const ADDRESS: &str = "127.0.0.1:1";

/// A state with a clock that is moved by hand.
struct Desk {
    state: State,
    now: Instant,
}

impl Desk {
    /// Has applied the services `a`, `b`, `c` (each calls the one before it) and `d`, and is done.
    fn new() -> Self {
        let mut desk = Self::blank();
        assert_eq!(desk.apply(None), [Effect::Reconcile]);
        assert_eq!(desk.report(&["a", "b", "c", "d"], &[]), [Effect::Settled]);
        desk
    }

    fn blank() -> Self {
        Self { state: State::default(), now: Instant::now() }
    }

    fn step(&mut self, input: Input) -> Vec<Effect> {
        self.state.step(input, self.now)
    }

    fn apply(&mut self, only: Option<&[&str]>) -> Vec<Effect> {
        let services = [service("a", &[]), service("b", &["a"]), service("c", &["b"]), service("d", &[])];
        self.step(Input::Apply { platform: Arc::new(platform(services)), only: only.map(names) })
    }

    /// It was looked, and nothing differs but these services, which depend on each other.
    fn planned(&mut self, services: &[&str]) -> Vec<Effect> {
        self.planned_of_version("1", services)
    }

    /// All services are wanted in this version.
    fn planned_of_version(&mut self, version: &str, services: &[&str]) -> Vec<Effect> {
        let versions = ["a", "b", "c", "d"].map(|name| (name_of(name), SpecHash(version.to_owned())));
        let plan = chain(services);
        self.step(Input::Planned(Planned { plan, versions: versions.into(), ..Planned::default() }))
    }

    /// The run with this number has ended.
    fn executed(&mut self, run: u64, succeeded: &[&str], failed: &[&str]) -> Vec<Effect> {
        let failed = failed.iter().map(|name| (name_of(name), failure("broken"))).collect();
        let report = Report { failed, succeeded: names(succeeded), ..Report::default() };
        self.step(Input::Executed { run: RunId(run), report })
    }

    /// It was looked, and what had to be done has ended like this.
    fn report(&mut self, succeeded: &[&str], failed: &[&str]) -> Vec<Effect> {
        let services = [succeeded, failed].concat();
        let effects = self.planned(&services);
        match effects.as_slice() {
            [Effect::Execute { run, .. }, ..] => {
                let mut after = effects[1..].to_vec();
                after.extend(self.executed(run.0, succeeded, failed));
                if !failed.is_empty() && after.last() == Some(&Effect::Reconcile) {
                    // What failed is looked at once more, and nothing has to be done.
                    after.pop();
                    after.extend(self.planned(&[]));
                }
                after
            }
            _ => effects,
        }
    }

    /// A look at running instances, while requests are routed to others.
    fn look(&mut self, running: &[&str], routed: &[&str]) -> Vec<Effect> {
        let state = InstanceState::Running { since: SystemTime::UNIX_EPOCH };
        self.see(running.iter().map(|name| (*name, state)).collect(), routed)
    }

    /// A look at these, which have stopped and are routed to.
    fn lose(&mut self, lost: &[&str]) -> Vec<Effect> {
        let died = InstanceState::Exited { code: Some(3), out_of_memory: false };
        self.see(lost.iter().map(|name| (*name, died)).collect(), lost)
    }

    fn see(&mut self, instances: Vec<(&str, InstanceState)>, routed: &[&str]) -> Vec<Effect> {
        let seen = |(name, state)| ObservedInstance {
            name: instance(name),
            hash: SpecHash("1".into()),
            state,
            address: state.is_running().then(|| ADDRESS.parse().unwrap()),
            handle: name.to_owned(),
            program: None,
        };
        let observed = Observed { instances: instances.into_iter().map(seen).collect() };
        let mut catalog = Catalog::default();
        for name in routed {
            let endpoint = Endpoint {
                instance: instance(name),
                address: ADDRESS.parse().unwrap(),
                state: EndpointState::Ready,
            };
            catalog.services.entry(endpoint.instance.service.clone()).or_default().push(endpoint);
        }
        self.step(Input::Observed { observed: Arc::new(observed), catalog: Arc::new(catalog) })
    }

    fn pass(&mut self, seconds: u64) -> Vec<Effect> {
        self.now += Duration::from_secs(seconds);
        self.step(Input::Tick)
    }

    /// How long the service still has to wait, in seconds; `None` when it is not failing.
    fn pause(&self, service: &str) -> Option<u64> {
        let at = self.state.failures.get(&name_of(service))?.retry_at()?;
        Some((at - self.now).as_secs())
    }

    fn held(&self) -> String {
        let mut held = self.state.held();
        held.extend(self.state.waiting(self.now).into_keys());
        held.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }
}

/// A plan that removes an instance of each of these services, one after the other.
fn chain(services: &[&str]) -> Plan {
    let step = |(at, name): (usize, &&str)| Step {
        id: StepId(at + 1),
        after: if at == 0 { vec![] } else { vec![StepId(at)] },
        service: name_of(name),
        action: Action::Admit(instance(&format!("{name}.v1.1"))),
        cause: Cause::Ready,
    };
    Plan { steps: services.iter().enumerate().map(step).collect() }
}

fn failure(message: &str) -> Failure {
    Failure { message: message.to_owned(), ..Failure::default() }
}

/// What follows from the loss of an instance that takes requests.
fn lost(name: &str, state: &str, restart_in: u64) -> [Effect; 3] {
    let forget = Effect::Forget(instance(name));
    [forget, exited(name, state, restart_in), Effect::Hear(instance(name))]
}

fn exited(name: &str, state: &str, restart_in: u64) -> Effect {
    Effect::Announce(EventKind::InstanceExited {
        service: instance(name).service.to_string(),
        instance: name.to_owned(),
        state: state.to_owned(),
        restart_in: Some(Duration::from_secs(restart_in)),
    })
}

#[test]
fn each_failure_doubles_the_pause_up_to_a_minute() {
    let mut desk = Desk::blank();
    assert_eq!(desk.apply(None), [Effect::Reconcile]);
    for expected in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
        assert_eq!(desk.report(&[], &["a"]), [Effect::Settled]);
        assert_eq!(desk.pause("a"), Some(expected));
        assert_eq!(desk.pass(expected), [Effect::Reconcile]);
    }
}

#[test]
fn a_failed_service_is_left_alone_until_its_pause_is_over() {
    let mut desk = Desk::blank();
    let _ = desk.apply(None);
    let _ = desk.report(&["b"], &["a"]);
    assert_eq!(desk.held(), "a");
    assert_eq!(desk.state.next_retry(), Some(desk.now + Duration::from_secs(1)));
    assert_eq!(desk.pass(1), [Effect::Reconcile]);
    assert_eq!((desk.held().as_str(), desk.state.next_retry()), ("", None));
}

#[test]
fn the_third_failure_in_a_row_is_a_crash_loop_and_shows_the_first_reason() {
    let mut desk = Desk::blank();
    let _ = desk.apply(None);
    let mut shown = Vec::new();
    for reason in ["the port is taken", "again", "and again"] {
        let _ = desk.planned(&["a"]);
        let run = RunId(desk.state.runs_begun);
        let failed = BTreeMap::from([(name_of("a"), failure(reason))]);
        let _ = desk.step(Input::Executed { run, report: Report { failed, ..Report::default() } });
        let platform = desk.state.platform.clone().unwrap();
        let trouble = &desk.state.failures[&name_of("a")];
        let catalog = Catalog::default();
        let mut status =
            status::of(&platform, &Observed::default(), Some(&catalog), &BTreeMap::new()).remove(0);
        status::add_trouble(&mut status, trouble.count, CRASH_LOOP, &trouble.failure);
        shown.push((status.state, status.problem.unwrap()));
        let _ = desk.pass(4);
    }
    let reason = "the port is taken".to_owned();
    assert_eq!(
        shown,
        [
            (ServiceState::Failed, reason.clone()),
            (ServiceState::Failed, reason.clone()),
            (ServiceState::CrashLooping, reason)
        ]
    );
}

#[test]
fn applying_anew_forgets_failures_so_that_nothing_waits_out_a_pause() {
    let mut desk = Desk::blank();
    let _ = desk.apply(None);
    let _ = desk.report(&[], &["a", "b"]);
    assert_eq!(desk.held(), "a b");
    assert_eq!(desk.apply(None), [Effect::Reconcile]);
    assert_eq!((desk.held().as_str(), desk.pause("a")), ("", None));
}

#[test]
fn scaling_and_restarting_forget_the_failures_of_the_services_they_name() {
    let mut desk = Desk::blank();
    let _ = desk.apply(None);
    let _ = desk.report(&[], &["a", "b", "c"]);
    let _ = desk.step(Input::Scale { replicas: BTreeMap::from([(name_of("a"), 2)]) });
    let _ = desk.step(Input::Restart { services: names(&["b"]) });
    assert_eq!(desk.held(), "c");
}

#[test]
fn asking_for_some_services_asks_for_all_that_they_call_and_holds_the_others() {
    let mut desk = Desk::blank();
    let _ = desk.apply(Some(&["b"]));
    assert_eq!(desk.held(), "c d");
    let _ = desk.apply(Some(&["d"]));
    assert_eq!(desk.held(), "c", "what was asked for before stays asked for");
    let _ = desk.apply(None);
    assert_eq!(desk.held(), "");
    let _ = desk.apply(Some(&["a"]));
    assert_eq!(desk.held(), "", "all stays all");
}

#[test]
fn what_is_asked_for_during_an_execution_leads_to_one_more_and_settles_once() {
    let mut desk = Desk::blank();
    assert_eq!(desk.apply(None), [Effect::Reconcile]);
    assert_eq!(desk.apply(None), []);
    assert_eq!(desk.step(Input::Scale { replicas: BTreeMap::from([(name_of("a"), 3)]) }), []);
    assert!(desk.state.is_executing());
    assert_eq!(desk.report(&["a"], &[]), [Effect::Reconcile]);
    assert_eq!(desk.planned(&[]), [Effect::Reconcile], "the look had begun before the run ended");
    assert_eq!(desk.planned(&[]), [Effect::Settled]);
    assert!(!desk.state.is_executing());
}

#[test]
fn what_failed_before_it_was_asked_for_anew_does_not_count() {
    let mut desk = Desk::new();
    assert_eq!(desk.apply(None), [Effect::Reconcile]);
    let _ = desk.planned(&["a", "d"]);
    assert_eq!(desk.step(Input::Restart { services: names(&["d"]) }), [Effect::Reconcile]);
    assert_eq!(desk.executed(2, &["a"], &["d"]), []);
    assert_eq!(desk.planned(&[]), [Effect::Reconcile], "the run ended after the look had begun");
    assert_eq!(desk.planned(&[]), [Effect::Settled]);
    assert_eq!((desk.pause("d"), desk.held().as_str()), (None, ""));
}

#[test]
fn services_that_have_nothing_to_do_with_each_other_do_not_wait_for_each_other() {
    let mut desk = Desk::new();
    assert_eq!(desk.step(Input::Changed(names(&[]))), [Effect::Reconcile]);
    let [Effect::Execute { run: slow, .. }] = desk.planned(&["a"])[..] else { panic!() };
    assert_eq!(desk.step(Input::Changed(names(&[]))), [Effect::Reconcile]);
    assert_eq!(desk.state.busy(), names(&["a"]));
    let [Effect::Execute { run: quick, .. }] = desk.planned(&["d"])[..] else { panic!() };
    assert_eq!(desk.state.busy(), names(&["a", "d"]));
    assert_eq!(desk.executed(quick.0, &["d"], &[]), []);
    assert_eq!(desk.executed(slow.0, &["a"], &[]), [Effect::Reconcile], "it was left alone meanwhile");
    assert_eq!(desk.planned(&[]), [Effect::Settled]);
}

#[test]
fn what_ends_while_it_is_looked_is_looked_at_again() {
    let mut desk = Desk::new();
    let _ = desk.step(Input::Changed(names(&[])));
    let [Effect::Execute { run, .. }] = desk.planned(&["a"])[..] else { panic!() };
    assert_eq!(desk.step(Input::Changed(names(&[]))), [Effect::Reconcile], "this look leaves it alone");
    assert_eq!(desk.executed(run.0, &["a"], &[]), []);
    assert_eq!(desk.planned_of_version("2", &[]), [Effect::Reconcile], "nothing is settled yet");
}

#[test]
fn a_newer_version_ends_what_is_under_way_for_an_older_one_and_nothing_else() {
    let mut desk = Desk::new();
    let _ = desk.step(Input::Changed(names(&[])));
    let [Effect::Execute { run, .. }] = desk.planned(&["a"])[..] else { panic!() };
    let _ = desk.step(Input::Changed(names(&[])));
    assert_eq!(desk.planned(&[]), [], "the same version is still wanted");
    let _ = desk.step(Input::Changed(names(&[])));
    assert_eq!(desk.planned_of_version("2", &[]), [Effect::GiveUp(run)]);
    let _ = desk.step(Input::Changed(names(&[])));
    assert_eq!(desk.planned_of_version("3", &[]), [], "it was told already");
    assert_eq!(desk.executed(run.0, &[], &["a"]), [Effect::Reconcile]);
    assert_eq!(desk.pause("a"), None, "what was given up has not failed");
}

#[test]
fn a_version_that_failed_waits_and_another_one_does_not() {
    let mut desk = Desk::new();
    let _ = desk.step(Input::Changed(names(&[])));
    let _ = desk.report(&[], &["a"]);
    let version = |version: &str| Some(SpecHash(version.to_owned()));
    assert_eq!(desk.state.waiting(desk.now), BTreeMap::from([(name_of("a"), version("1"))]));
    assert_eq!(desk.step(Input::Changed(names(&[]))), [Effect::Reconcile]);
    let _ = desk.planned_of_version("2", &["a"]);
    assert_eq!(desk.state.waiting(desk.now), BTreeMap::new());
    let _ = desk.executed(desk.state.runs_begun, &[], &["a"]);
    assert_eq!(desk.state.failures[&name_of("a")].count, 1, "it is the first failure of this version");
    assert_eq!(desk.state.waiting(desk.now), BTreeMap::from([(name_of("a"), version("2"))]));
}

#[test]
fn before_anything_was_asked_for_there_is_nothing_to_reconcile() {
    let mut desk = Desk::blank();
    assert_eq!(desk.step(Input::Restart { services: names(&["a"]) }), [Effect::Settled]);
    let _ = desk.step(Input::Unseen(failure("no answer")));
    assert_eq!(desk.look(&[], &[]), [Effect::Announce(EventKind::EngineBack), Effect::Settled]);
    assert_eq!(desk.apply(None), [Effect::Reconcile]);
}

#[test]
fn a_restart_covers_the_newest_generation_that_was_seen() {
    let mut desk = Desk::new();
    let _ = desk.look(&["a.v2.1", "a.v7.1", "b.v1.1"], &[]);
    let _ = desk.look(&[], &[]);
    for _ in 0..2 {
        let _ = desk.report(&[], &[]);
    }
    assert_eq!(desk.step(Input::Restart { services: names(&["a", "d"]) }), [Effect::Reconcile]);
    let through = BTreeMap::from([(name_of("a"), Generation::new(7).unwrap())]);
    assert_eq!(desk.state.restart_through, through);
}

#[test]
fn a_lost_instance_is_forgotten_and_replaced_after_a_pause() {
    let mut desk = Desk::new();
    let expected = [&lost("a.v1.1", "exited with code 3", 1)[..], &[Effect::Reconcile]].concat();
    assert_eq!(desk.lose(&["a.v1.1"]), expected);
    assert_eq!(desk.report(&[], &[]), [Effect::Settled]);
    assert_eq!(desk.held(), "a");
    assert_eq!(desk.pass(1), [Effect::Reconcile]);
    assert_eq!(desk.held(), "");
}

#[test]
fn an_instance_that_exited_is_lost_and_one_that_runs_or_takes_no_requests_is_not() {
    let mut desk = Desk::new();
    let died = InstanceState::Exited { code: Some(3), out_of_memory: false };
    let alive = InstanceState::Running { since: SystemTime::UNIX_EPOCH };
    let instances = vec![("a.v1.1", died), ("b.v1.1", alive), ("c.v1.1", died)];
    assert_eq!(
        desk.see(instances, &["a.v1.1", "b.v1.1"]),
        [&lost("a.v1.1", "exited with code 3", 1)[..], &[Effect::Reconcile]].concat()
    );
}

#[test]
fn several_replicas_lost_at_once_are_one_failure() {
    let mut desk = Desk::new();
    let effects = desk.lose(&["a.v1.1", "a.v1.2", "a.v1.3"]);
    let expected = ["a.v1.1", "a.v1.2", "a.v1.3"].map(|name| lost(name, "exited with code 3", 1));
    assert_eq!(effects, expected.into_iter().flatten().chain([Effect::Reconcile]).collect::<Vec<_>>());
    assert_eq!(desk.state.failures[&name_of("a")].count, 1);
}

#[test]
fn an_engine_that_does_not_answer_is_announced_once_and_so_is_its_return() {
    let mut desk = Desk::new();
    let lost = Effect::Announce(EventKind::EngineLost { reason: "no answer".into() });
    assert_eq!(desk.step(Input::Unseen(failure("no answer"))), [lost]);
    assert_eq!(desk.step(Input::Unseen(failure("still none"))), []);
    assert_eq!(desk.state.blind, Some(failure("still none")));
    assert_eq!(desk.look(&[], &[]), [Effect::Announce(EventKind::EngineBack), Effect::Reconcile]);
    assert_eq!((desk.look(&[], &[]), desk.state.blind.clone()), (vec![], None));
}

#[test]
fn a_reconcile_that_sees_nothing_settles_and_is_made_good_when_the_engine_is_back() {
    let mut desk = Desk::blank();
    let _ = desk.apply(None);
    let lost = Effect::Announce(EventKind::EngineLost { reason: "no answer".into() });
    assert_eq!(desk.step(Input::Blind(failure("no answer"))), [lost, Effect::Settled]);
    assert!(!desk.state.is_executing());
    assert_eq!(desk.look(&[], &[]), [Effect::Announce(EventKind::EngineBack), Effect::Reconcile]);
}

#[test]
fn time_alone_changes_nothing_where_nothing_is_due() {
    let mut desk = Desk::new();
    for _ in 0..100 {
        assert_eq!(desk.pass(10), []);
        let all = ["a.v1.1", "b.v1.1", "c.v1.1", "d.v1.1"];
        assert_eq!(desk.look(&all, &all), []);
    }
}

#[test]
fn a_service_that_served_for_a_minute_starts_its_count_anew() {
    let mut desk = Desk::new();
    for (served, expected) in [(59, 1), (59, 2), (60, 1)] {
        desk.now += Duration::from_secs(served);
        let _ = desk.lose(&["a.v1.1"]);
        assert_eq!(desk.state.failures[&name_of("a")].count, expected, "after {served} s");
        let _ = desk.report(&[], &[]);
        assert_eq!(desk.pass(expected.into()), [Effect::Reconcile]);
        let _ = desk.report(&["a"], &[]);
    }
}

#[test]
fn a_service_that_serves_for_a_minute_after_a_failure_is_no_longer_shown_as_failing() {
    let mut desk = Desk::new();
    let _ = desk.lose(&["a.v1.1"]);
    let _ = desk.report(&[], &[]);
    assert_eq!(desk.pass(1), [Effect::Reconcile]);
    let _ = desk.report(&["a"], &[]);
    assert_eq!(desk.pass(59), []);
    assert_eq!(desk.state.failures.len(), 1);
    assert_eq!(desk.pass(1), []);
    assert_eq!(desk.state.failures, BTreeMap::new());
}

/// One thing that may happen, as a number of the table in [`happen`], and the seconds before it.
fn happenings() -> impl Strategy<Value = Vec<(u8, u64)>> {
    prop::collection::vec((0..9_u8, 0..70_u64), 0..60)
}

fn happen(desk: &mut Desk, number: u8) -> Vec<Effect> {
    match number {
        0 => desk.apply(None),
        1 => desk.apply(Some(&["b"])),
        2 => desk.step(Input::Scale { replicas: BTreeMap::from([(name_of("a"), 2)]) }),
        3 => desk.step(Input::Restart { services: names(&["a"]) }),
        4 => desk.look(&["a.v1.1"], &["a.v1.1", "b.v1.1"]),
        5 => desk.step(Input::Unseen(failure("no answer"))),
        // Only an execution that was asked for reports.
        6 if desk.state.is_executing() => desk.report(&["a"], &["b"]),
        7 if desk.state.is_executing() => desk.report(&["a", "b", "c", "d"], &[]),
        8 if desk.state.is_executing() => desk.step(Input::Blind(failure("no answer"))),
        _ => desk.step(Input::Tick),
    }
}

proptest! {
    #[test]
    fn there_is_one_execution_at_a_time_and_its_end_is_settled_or_followed_up(all in happenings()) {
        let mut desk = Desk::new();
        for (number, seconds) in all {
            desk.now += Duration::from_secs(seconds);
            let before = desk.state.is_executing();
            let effects = happen(&mut desk, number);
            let reconciles = effects.iter().filter(|e| **e == Effect::Reconcile).count();
            let settled = effects.iter().filter(|e| **e == Effect::Settled).count();
            let after = desk.state.is_executing();
            let ended = before && matches!(number, 6..=8);
            prop_assert_eq!(reconciles + settled, usize::from(ended || (!before && after)));
            prop_assert_eq!(settled, usize::from(ended && !after));
        }
    }

    #[test]
    fn no_pause_is_longer_than_a_minute_and_none_is_forgotten(all in happenings()) {
        let mut desk = Desk::new();
        for (number, seconds) in all {
            desk.now += Duration::from_secs(seconds);
            let _ = happen(&mut desk, number);
            let longest = desk.state.failures.values().filter_map(Trouble::retry_at).max();
            prop_assert!(longest.is_none_or(|at| at <= desk.now + LONGEST_RETRY));
        }
        while desk.state.is_executing() {
            let _ = desk.report(&[], &[]);
        }
        let waits = desk.state.next_retry().is_some();
        let effects = desk.pass(60);
        prop_assert_eq!(effects, if waits { vec![Effect::Reconcile] } else { vec![] });
        prop_assert_eq!(desk.state.next_retry(), None);
    }
}

#[test]
fn what_waited_for_another_one_is_not_tried_again_when_it_comes_and_what_failed_itself_is() {
    let mut desk = Desk::new();
    let waited = BTreeMap::from([(name_of("b"), Failure { is_lasting: true, ..failure("not started") })]);
    let versions = ["a", "b", "c", "d"].map(|name| (name_of(name), SpecHash("1".to_owned())));
    let _ = desk.step(Input::Changed(names(&["a"])));
    let failed = Planned { versions: versions.into(), failed: waited, ..Planned::default() };
    let _ = desk.step(Input::Planned(failed));
    let _ = desk.step(Input::Changed(names(&["b"])));
    let _ = desk.planned(&["b"]);
    assert_eq!(desk.state.failing(), names(&[]));
    let _ = desk.executed(2, &[], &["b"]);
    let _ = desk.planned(&[]);
    assert_eq!(desk.state.failing(), names(&["b"]));
    let _ = desk.planned_of_version("2", &["b"]);
    assert_eq!(desk.state.failing(), names(&[]));
}
