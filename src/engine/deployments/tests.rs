use super::*;
use crate::engine::tests::fixtures::{name_of, names, platform, service};
use crate::model::desired::DesiredService;
use crate::model::instance::{InstanceName, Program, SpecHash};
use crate::plan::{Cause as Why, Step, StepId};

const START: Duration = Duration::from_secs(1_000);

/// The service `order`, made from `digest`.
fn wanted(digest: &str, needs_build: bool) -> Desired {
    let wanted = DesiredService {
        spec: service("order", &[]),
        digest: BuildDigest(digest.to_owned()),
        needs_build,
        program: Program::Image { reference: format!("order:{digest}") },
        environment: Vec::new(),
        hash: SpecHash(format!("hash of {digest}")),
        replicas: 1,
        drain: Duration::ZERO,
    };
    Desired { services: [(name_of("order"), wanted)].into() }
}

fn step(id: usize, action: Action, cause: Why) -> Step {
    Step { id: StepId(id), after: Vec::new(), service: name_of("order"), action, cause }
}

fn start(generation: u32, cause: Why) -> Step {
    let generation = Generation::new(generation).unwrap();
    step(2, Action::Start(InstanceName { service: name_of("order"), generation, replica: 1 }), cause)
}

fn replaces() -> Why {
    Why::Replaces(Generation::FIRST)
}

struct Desk {
    deployments: Deployments,
    moment: (SystemTime, Instant),
}

impl Desk {
    fn new() -> Self {
        let moment = (SystemTime::UNIX_EPOCH + START, Instant::now() + START);
        Self { deployments: Deployments::default(), moment }
    }

    fn save(&mut self, paths: &[&str], ago: u64) {
        let at = |ago| self.moment.1.checked_sub(Duration::from_millis(ago)).unwrap();
        let paths = paths.iter().map(|path| service("order", &[]).folder.join(path)).collect();
        let save = Save { paths, has_more: false, detected: at(ago), settled: at(ago - 30) };
        self.deployments.saved(name_of("order"), save);
    }

    /// Begins a plan of these steps; tells what is said of it.
    fn begin(&mut self, desired: &Desired, steps: Vec<Step>) -> Option<Beginning> {
        self.begin_with(desired, steps, |_| {})
    }

    fn begin_with(
        &mut self,
        desired: &Desired,
        steps: Vec<Step>,
        change: impl FnOnce(&mut Circumstances<'_>),
    ) -> Option<Beginning> {
        self.tell(desired, steps, change).map(|event| match event {
            EventKind::DeploymentBegun(beginning) => *beginning,
            other => panic!("{other:?}"),
        })
    }

    fn tell(
        &mut self,
        desired: &Desired,
        steps: Vec<Step>,
        change: impl FnOnce(&mut Circumstances<'_>),
    ) -> Option<EventKind> {
        let plan = Plan { steps };
        let (failing, pinned) = (BTreeSet::new(), BTreeMap::new());
        let mut around = Circumstances { desired, failing, pinned, now: self.moment };
        change(&mut around);
        self.deployments.begin(&plan.clone().until_built(), &plan, &around).pop()
    }
}

#[test]
fn a_save_is_the_cause_and_gives_the_first_times() {
    let mut desk = Desk::new();
    desk.save(&["src/b.rs", "src/a.rs"], 100);
    let begun = desk.begin(&wanted("d", false), vec![start(2, replaces())]).unwrap();
    assert_eq!((begun.service.as_str(), begun.generation), ("order", 2));
    assert_eq!(begun.cause.to_string(), "src/a.rs and 1 more");
    assert_eq!(begun.began, SystemTime::UNIX_EPOCH + Duration::from_millis(999_900));
    assert_eq!(begun.timings.at(Stage::Debounced), Some(Duration::from_millis(30)));
    assert_eq!(begun.recipe.program, Some(RecordedProgram::Image { reference: "order:d".into() }));
    let again = desk.begin(&wanted("e", false), vec![start(3, replaces())]).unwrap();
    assert_eq!((again.cause, again.began), (Cause::Changed, desk.moment.0), "a save is a cause once");
}

#[test]
fn a_deployment_begins_with_its_build_and_what_it_runs_is_told_once_that_is_known() {
    let mut desk = Desk::new();
    desk.save(&["main.rs"], 100);
    let build = step(1, Action::Build, Why::NotBuilt);
    let first = desk.begin(&wanted("d", true), vec![build, start(2, replaces())]).unwrap();
    assert_eq!((first.generation, &first.recipe.program), (2, &None));
    match desk.tell(&wanted("d", false), vec![start(2, replaces())], |_| {}) {
        Some(EventKind::DeploymentMade { generation: 2, recipe, .. }) => assert!(recipe.program.is_some()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_built_and_is_nothing_new_ends_so() {
    let mut desk = Desk::new();
    let build = step(1, Action::Build, Why::NotBuilt);
    desk.begin(&wanted("d", true), vec![build, start(2, replaces())]).unwrap();
    let nothing = Plan::default();
    assert_eq!(desk.deployments.decided(&nothing, &names(&["order"])), [], "it is at work");
    let ended = desk.deployments.decided(&nothing, &names(&[]));
    let expected =
        EventKind::DeploymentEnded { service: "order".into(), generation: 2, outcome: Outcome::Unchanged };
    assert_eq!(ended, [expected]);
    assert_eq!(desk.deployments.decided(&nothing, &names(&[])), []);
}

#[test]
fn a_save_that_led_to_nothing_is_not_the_cause_of_the_next_deployment() {
    let mut desk = Desk::new();
    desk.save(&["notes"], 100);
    assert_eq!(desk.deployments.decided(&Plan::default(), &names(&[])), []);
    assert_eq!(desk.begin(&wanted("d", false), vec![start(2, replaces())]).unwrap().cause, Cause::Changed);
    desk.deployments.ended(&name_of("order"));
    // Back to what serves: all that is left to do is to clear away what was tried meanwhile.
    desk.save(&["notes"], 100);
    let tried = InstanceName { service: name_of("order"), generation: Generation::FIRST.next(), replica: 1 };
    let removal = Action::Remove { instance: tried, grace: Duration::ZERO };
    let plan = Plan { steps: vec![step(1, removal, Why::ReplacedBy(Generation::FIRST))] };
    assert_eq!(desk.deployments.decided(&plan, &names(&[])), []);
    assert_eq!(desk.begin(&wanted("e", false), vec![start(3, replaces())]).unwrap().cause, Cause::Changed);
}

#[test]
fn a_cause_names_a_file_on_one_line_whatever_its_name_holds() {
    let mut desk = Desk::new();
    desk.save(&["two\nlines"], 100);
    let begun = desk.begin(&wanted("d", false), vec![start(2, replaces())]).unwrap();
    assert_eq!(begun.cause.to_string(), "two\\nlines");
}

#[test]
fn the_same_generation_again_and_more_of_it_is_no_deployment() {
    let mut desk = Desk::new();
    let exited = crate::model::observed::InstanceState::Paused;
    for cause in [Why::Stopped(exited), Why::Scaled { from: 1, to: 2 }] {
        assert_eq!(desk.begin(&wanted("d", false), vec![start(1, cause)]), None);
    }
}

#[test]
fn causes_are_told_by_what_was_asked_for_and_what_happened() {
    let cause = |why: Why, change: fn(&mut Circumstances<'_>)| {
        let mut desk = Desk::new();
        desk.save(&["main.rs"], 100);
        desk.begin_with(&wanted("d", false), vec![start(2, why)], change).unwrap().cause
    };
    assert_eq!(cause(Why::FirstStart, |_| {}), Cause::FirstStart);
    assert_eq!(cause(Why::Restart(Generation::FIRST), |_| {}), Cause::RestartAskedFor);
    assert_eq!(cause(replaces(), |around| around.failing = names(&["order"])), Cause::TriedAgain);
    let rolled_back = cause(replaces(), |around| {
        around.pinned = [(name_of("order"), Generation::FIRST)].into();
    });
    assert_eq!(rolled_back, Cause::RolledBack { to: 1 });
}

#[test]
fn an_edited_manifest_is_told_by_its_fields() {
    let mut desk = Desk::new();
    let before = platform([service("order", &[]), service("mail", &[])]);
    let mut order = service("order", &[]);
    order.run.limits.pids += 1;
    order.configuration.insert("CURRENCY".into(), "USD".into());
    let mut after = platform([order, service("mail", &[])]);
    after.configuration.insert("REGION".into(), "eu".into());
    let name = name_of("order");
    let fields = after.differences(&after.services[&name], &before, &before.services[&name]);
    assert_eq!(fields.to_string(), "configuration.CURRENCY, configuration.REGION, run.pids 64 → 65");
    let edited = Why::Edited { before: Generation::FIRST, fields };
    let begun = desk.begin(&wanted("d", false), vec![start(2, edited)]).unwrap();
    assert_eq!(begun.cause.to_string(), "configuration.CURRENCY, configuration.REGION, run.pids");
}
