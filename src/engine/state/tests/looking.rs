//! What a look leads to.

use super::*;
use crate::model::instance::BuildDigest;

#[test]
fn a_service_that_succeeds_waits_for_nothing_any_more() {
    let mut desk = Desk::new();
    let _ = desk.step(Input::Changed(names(&[])));
    let unread = BTreeMap::from([(name_of("a"), failure("cannot be read"))]);
    let _ = desk.step(Input::Planned(Planned { failed: unread, ..Planned::default() }));
    assert_eq!(desk.pause("a"), Some(1));
    let _ = desk.step(Input::Changed(names(&[])));
    let _ = desk.report(&["a"], &[]);
    assert_eq!((desk.pause("a"), desk.held().as_str()), (None, ""));
    assert_eq!(desk.state.failures[&name_of("a")].count, 1, "it is still shown for a while");
}

#[test]
fn a_version_that_waits_goes_on_doing_so_while_others_are_called_back_in_its_place() {
    let mut desk = Desk::new();
    let _ = desk.step(Input::Changed(names(&[])));
    let _ = desk.report(&[], &["a"]);
    let _ = desk.step(Input::Changed(names(&[])));
    let _ = desk.report(&["a"], &[]);
    assert_eq!((desk.pause("a"), desk.held().as_str()), (Some(1), "a"));
}

#[test]
fn what_was_broken_off_is_planned_for_again_at_once() {
    let mut desk = Desk::new();
    let _ = desk.step(Input::Changed(names(&[])));
    let [Effect::Execute { run, .. }] = desk.planned(&["a"])[..] else { panic!() };
    let failed = BTreeMap::from([(name_of("a"), failure("it stopped"))]);
    let report = Report { failed, given_up: names(&["a"]), ..Report::default() };
    assert_eq!(desk.step(Input::Executed { run, report }), [Effect::Reconcile]);
}

#[test]
fn what_somebody_did_to_an_instance_is_repaired_at_once_and_is_no_failure() {
    let mut desk = Desk::new();
    for seen in [vec![("a.v1.1", InstanceState::Paused)], vec![("a.v1.1", InstanceState::CutOff)], vec![]] {
        let effects = desk.see(seen, &["a.v1.1"]);
        assert!(effects.contains(&Effect::Reconcile), "{effects:?}");
        let told = effects.iter().find_map(|effect| match effect {
            Effect::Announce(EventKind::InstanceExited { restart_in, .. }) => Some(restart_in),
            _ => None,
        });
        assert_eq!(told, Some(&None), "{effects:?}");
        assert_eq!((desk.pause("a"), desk.held().as_str()), (None, ""));
        let _ = desk.planned(&[]);
    }
}

#[test]
fn the_loss_of_another_version_is_no_failure_of_the_wanted_one() {
    let mut desk = Desk::new();
    let _ = desk.step(Input::Changed(names(&[])));
    let _ = desk.planned_of_version("2", &[]);
    let died = InstanceState::Exited { code: Some(3), out_of_memory: false };
    let _ = desk.see(vec![("a.v1.1", died)], &["a.v1.1"]);
    let lost = Some(SpecHash("1".to_owned()));
    assert_eq!(desk.state.waiting(desk.now), BTreeMap::from([(name_of("a"), lost)]));
}

#[test]
fn a_run_ends_when_what_it_replaces_stops_and_an_older_one_could_serve() {
    let died = InstanceState::Exited { code: Some(3), out_of_memory: false };
    let alive = InstanceState::Running { since: SystemTime::UNIX_EPOCH };
    for (older, is_given_up) in [(alive, true), (died, false)] {
        let mut desk = Desk::new();
        let _ = desk.step(Input::Changed(names(&[])));
        let [Effect::Execute { run, .. }] = desk.planned(&["a"])[..] else { panic!() };
        let instances = vec![("a.v1.1", older), ("a.v2.1", died), ("a.v3.1", alive)];
        let effects = desk.see(instances, &["a.v2.1"]);
        assert_eq!(effects.contains(&Effect::GiveUp(run)), is_given_up, "{effects:?}");
        let calls_back = effects.first() == Some(&Effect::Recall(instance("a.v1.1")));
        assert_eq!(calls_back, is_given_up, "before anybody is forgotten: {effects:?}");
        assert!(effects.contains(&Effect::Reconcile));
    }
}

const ALL: [&str; 4] = ["a.v1.1", "b.v1.1", "c.v1.1", "d.v1.1"];

/// All four run and take requests, and so does what else is there, as far as it does.
fn beside(desk: &mut Desk, others: &[(&'static str, InstanceState)]) -> Vec<Effect> {
    let alive = InstanceState::Running { since: SystemTime::UNIX_EPOCH };
    let all = ALL.map(|name| (name, alive)).into_iter().chain(others.iter().copied());
    desk.see(all.collect(), &ALL)
}

fn noticed(service: &str, message: &str) -> Effect {
    Effect::Announce(EventKind::Noticed {
        service: Some(service.to_owned()),
        message: message.to_owned(),
        hint: None,
    })
}

#[test]
fn what_differs_is_told_and_planned_for_once_and_then_every_ten_seconds() {
    let mut desk = Desk::new();
    let paused = [("a.v1.2", InstanceState::Paused)];
    assert_eq!(beside(&mut desk, &paused), [noticed("a", "a.v1.2 paused"), Effect::Reconcile]);
    assert_eq!(beside(&mut desk, &paused), [], "a second plan would know no more");
    assert_eq!(desk.planned(&[]), [Effect::Reconcile], "the first one may have looked before");
    assert_eq!(desk.planned(&[]), [Effect::Settled]);
    for _ in 0..9 {
        assert_eq!(desk.pass(1), []);
        assert_eq!(beside(&mut desk, &paused), []);
    }
    assert_eq!(desk.pass(1), []);
    assert_eq!(beside(&mut desk, &paused), [Effect::Reconcile]);
    assert_eq!(desk.planned(&[]), [Effect::Settled]);
    assert_eq!(beside(&mut desk, &[]), []);
    assert_eq!(beside(&mut desk, &paused).len(), 2, "it is back");
}

#[test]
fn whatever_somebody_did_to_an_instance_is_seen() {
    let alive = InstanceState::Running { since: SystemTime::UNIX_EPOCH };
    let renamed = InstanceState::Renamed { since: SystemTime::UNIX_EPOCH };
    for (name, state, expected) in [
        ("a.v1.2", InstanceState::CutOff, "a.v1.2 lost its network"),
        ("a.v1.2", InstanceState::Created, "a.v1.2 created"),
        ("a.v1.2", alive, "a.v1.2 runs and takes no requests"),
        ("a.v1.2", renamed, "a.v1.2 renamed"),
        ("e.v1.1", alive, "e.v1.1 belongs to no service"),
    ] {
        let mut desk = Desk::new();
        let expected = [noticed(&name[..1], expected), Effect::Reconcile];
        assert_eq!(beside(&mut desk, &[(name, state)]), expected);
    }
    let mut desk = Desk::new();
    let missing = noticed("d", "d has 0 of 1 instances");
    assert_eq!(desk.look(&ALL[..3], &ALL[..3]), [missing, Effect::Reconcile]);
}

#[test]
fn what_somebody_is_at_work_on_or_has_failed_is_no_drift() {
    let mut desk = Desk::new();
    let _ = desk.step(Input::Changed(names(&[])));
    let _ = desk.planned(&["a"]);
    assert_eq!(beside(&mut desk, &[("a.v1.2", InstanceState::Created)]), []);
    let _ = desk.executed(desk.state.runs_begun, &[], &["a"]);
    assert_eq!(beside(&mut desk, &[("a.v1.2", InstanceState::Created)]), []);
}

#[test]
fn a_process_that_stood_still_for_a_minute_plans_once() {
    let mut desk = Desk::new();
    desk.now += Duration::from_secs(60);
    let died = InstanceState::Exited { code: Some(137), out_of_memory: false };
    let effects = [
        desk.see(ALL.map(|name| (name, died)).to_vec(), &ALL),
        desk.step(Input::Tick),
        desk.see(ALL.map(|name| (name, died)).to_vec(), &[]),
        desk.step(Input::Tick),
    ]
    .concat();
    assert_eq!(effects.iter().filter(|effect| **effect == Effect::Reconcile).count(), 1);
    assert_eq!(desk.planned(&[]), [Effect::Settled]);
    assert_eq!(beside(&mut Desk::new(), &[]), []);
}

#[test]
fn who_may_have_to_wait_for_somebody_at_work_is_no_drift() {
    let mut desk = Desk::new();
    let _ = desk.step(Input::Changed(names(&[])));
    let _ = desk.planned(&["a"]);
    let there = ["a.v1.1", "d.v1.1"];
    assert_eq!(desk.look(&there, &there), [], "b calls a, and c calls b");
}

#[test]
fn a_build_goes_on_while_it_makes_what_is_wanted_whatever_that_is_called_by_then() {
    for (digest, is_given_up) in [("d", false), ("e", true)] {
        let mut desk = Desk::new();
        let _ = desk.step(Input::Changed(names(&[])));
        let [Effect::Execute { run, .. }] = desk.step(built_from("d", "to be built", &["a"]))[..] else {
            panic!()
        };
        let _ = desk.step(Input::Changed(names(&[])));
        let effects = desk.step(built_from(digest, "is built", &[]));
        assert_eq!(effects.contains(&Effect::GiveUp(run)), is_given_up, "{digest}: {effects:?}");
    }
}

/// `a` is made from `digest` and is `version` then; these services are built.
fn built_from(digest: &str, version: &str, services: &[&str]) -> Input {
    let step = |name: &&str| Step {
        id: StepId(1),
        after: vec![],
        service: name_of(name),
        action: Action::Build,
        cause: Cause::NotBuilt,
    };
    let known = Known { digest: BuildDigest(digest.to_owned()), built: None };
    Input::Planned(Planned {
        plan: Plan { steps: services.iter().map(step).collect() },
        versions: [(name_of("a"), SpecHash(version.to_owned()))].into(),
        known: [(name_of("a"), known)].into(),
        ..Planned::default()
    })
}
