//! What a look leads to.

use super::*;

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
fn the_loss_of_another_version_is_no_failure_of_the_wanted_one() {
    let mut desk = Desk::new();
    let died = InstanceState::Exited { code: Some(3), out_of_memory: false };
    let _ = desk.see(vec![("a.v1.1", died)], &["a.v1.1"]);
    let lost = Some(SpecHash("h".to_owned()));
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
        assert!(effects.contains(&Effect::Reconcile));
    }
}
