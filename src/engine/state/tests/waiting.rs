//! When nothing is left to do for some services, whatever there is for others.

use super::*;

impl Desk {
    fn is_settled_for(&self, services: &[&str]) -> bool {
        self.state.is_settled_for(&names(services))
    }

    fn restart(&mut self, service: &str) -> Vec<Effect> {
        self.step(Input::Restart { services: names(&[service]) })
    }

    /// A run is under way that is at work on `a`.
    fn with_a_under_way() -> (Self, u64) {
        let mut desk = Self::new();
        let _ = desk.step(Input::Changed(names(&[])));
        let [Effect::Execute { run, .. }] = desk.planned(&["a"])[..] else { panic!() };
        (desk, run.0)
    }

    /// It was looked; this one has to wait for what is under way.
    fn planned_without(&mut self, service: &str) -> Vec<Effect> {
        let versions = ["a", "b", "c", "d"].map(|name| (name_of(name), SpecHash("1".to_owned()))).into();
        self.step(Input::Planned(Planned { versions, put_off: names(&[service]), ..Planned::default() }))
    }
}

#[test]
fn what_is_asked_of_a_service_is_done_while_another_one_is_still_under_way() {
    let (mut desk, slow) = Desk::with_a_under_way();
    assert!(desk.is_settled_for(&["d"]) && !desk.is_settled_for(&["a"]));
    assert_eq!(desk.restart("d"), [Effect::Reconcile]);
    assert!(!desk.is_settled_for(&["d"]), "no plan was made yet");
    let [Effect::Execute { run, .. }] = desk.planned(&["d"])[..] else { panic!() };
    assert!(!desk.is_settled_for(&["d"]));
    assert_eq!(desk.executed(run.0, &["d"], &[]), []);
    assert!(desk.is_settled_for(&["d"]) && !desk.is_settled_for(&["a", "d"]));
    assert_eq!(desk.executed(slow, &["a"], &[]), [Effect::Reconcile]);
    assert_eq!(desk.planned(&[]), [Effect::Settled]);
    assert!(desk.is_settled_for(&["a", "d"]));
}

#[test]
fn a_look_that_had_begun_before_it_was_asked_is_no_answer() {
    let mut desk = Desk::new();
    assert_eq!(desk.step(Input::Changed(names(&[]))), [Effect::Reconcile]);
    assert_eq!(desk.restart("d"), []);
    assert_eq!(desk.planned(&["a"]).last(), Some(&Effect::Reconcile));
    assert!(!desk.is_settled_for(&["d"]));
    assert_eq!(desk.planned(&[]), []);
    assert!(desk.is_settled_for(&["d"]), "nothing has to be done");
}

#[test]
fn what_has_to_wait_for_another_one_is_not_settled_meanwhile() {
    let (mut desk, slow) = Desk::with_a_under_way();
    let _ = desk.restart("b");
    assert_eq!(desk.planned_without("b"), []);
    assert!(!desk.is_settled_for(&["b"]) && desk.is_settled_for(&["d"]));
    assert_eq!(desk.executed(slow, &["a"], &[]), [Effect::Reconcile]);
    assert!(!desk.is_settled_for(&["b"]));
    let _ = desk.planned(&["b"]);
    assert!(!desk.is_settled_for(&["b"]));
    let _ = desk.executed(slow + 1, &["b"], &[]);
    assert!(desk.is_settled_for(&["b"]));
}

#[test]
fn what_was_given_up_for_something_newer_is_settled_once_that_is_done() {
    let (mut desk, slow) = Desk::with_a_under_way();
    let _ = desk.restart("a");
    assert_eq!(desk.planned_of_version("2", &[]), [Effect::GiveUp(RunId(slow))]);
    assert_eq!(desk.executed(slow, &[], &["a"]), [Effect::Reconcile]);
    assert!(!desk.is_settled_for(&["a"]));
    let _ = desk.planned_of_version("2", &["a"]);
    let _ = desk.executed(slow + 1, &["a"], &[]);
    assert!(desk.is_settled_for(&["a"]));
}

#[test]
fn a_service_that_waits_for_its_next_try_is_settled() {
    let (mut desk, _) = Desk::with_a_under_way();
    let _ = desk.restart("d");
    let [Effect::Execute { run, .. }] = desk.planned(&["d"])[..] else { panic!() };
    assert_eq!(desk.executed(run.0, &[], &["d"]), [Effect::Reconcile]);
    assert!(!desk.is_settled_for(&["d"]), "something may be called back in its place");
    assert_eq!(desk.planned(&[]), []);
    assert!(desk.is_settled_for(&["d"]));
    assert_eq!(desk.held(), "d");
}

#[test]
fn where_nothing_can_be_seen_nobody_waits_for_more_than_what_is_under_way() {
    let (mut desk, _) = Desk::with_a_under_way();
    let _ = desk.restart("d");
    let _ = desk.step(Input::Blind(failure("no answer")));
    assert!(desk.is_settled_for(&["d"]) && !desk.is_settled_for(&["a"]));
}

#[test]
fn what_was_broken_off_is_not_settled_before_it_is_planned_for_anew() {
    let (mut desk, _) = Desk::with_a_under_way();
    assert_eq!(desk.step(Input::Resume), [Effect::Reconcile]);
    assert!(!desk.is_settled_for(&["a"]) && desk.is_settled_for(&["d"]));
    assert_eq!(desk.planned(&[]), [Effect::Settled]);
}

#[test]
fn asking_for_some_services_is_asking_for_all_that_they_call() {
    let mut desk = Desk::blank();
    assert!(desk.is_settled_for(&["a"]), "nobody has asked for anything");
    let _ = desk.apply(Some(&["b"]));
    assert!(!desk.is_settled_for(&["a"]) && !desk.is_settled_for(&["b"]));
    assert!(desk.is_settled_for(&["c"]) && desk.is_settled_for(&["d"]));
    let services = [service("a", &[]), service("b", &["a"]), service("c", &["b"])];
    let apply = Input::Apply { platform: Arc::new(platform(services)), only: Some(names(&["b"])) };
    assert_eq!(State::asked_of(&apply), Some(names(&["a", "b"])));
    assert_eq!(State::asked_of(&Input::Restart { services: names(&["b"]) }), Some(names(&["b"])));
}
