//! The promises of planning, over generated worlds.

use std::collections::BTreeSet;
use std::time::SystemTime;

use proptest::prelude::*;

use super::world::{World, instance, service};
use crate::model::catalog::{Catalog, EndpointState};
use crate::model::instance::{InstanceName, SpecHash};
use crate::model::name::ServiceName;
use crate::model::observed::InstanceState;
use crate::plan::{Action, Plan, Step, StepId};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const HASHES: [&str; 2] = ["h", "i"];

fn arbitrary_state() -> impl Strategy<Value = InstanceState> {
    prop_oneof![
        4 => Just(InstanceState::Running { since: SystemTime::UNIX_EPOCH }),
        1 => Just(InstanceState::Created),
        1 => Just(InstanceState::Paused),
        1 => Just(InstanceState::Exited { code: Some(1), out_of_memory: false }),
    ]
}

/// How far an instance is known to the traffic.
fn arbitrary_standing() -> impl Strategy<Value = Option<EndpointState>> {
    prop_oneof![Just(None), Just(Some(EndpointState::Ready)), Just(Some(EndpointState::Draining))]
}

/// Up to three services that call those before them, with any mixture of instances.
fn arbitrary_world() -> impl Strategy<Value = World> {
    let services = prop::collection::vec((0..4u16, 0..2usize, any::<bool>()), 0..4);
    let instances = prop::collection::vec(
        (0..4usize, 1..4u32, 1..4u16, 0..2usize, arbitrary_state(), arbitrary_standing()),
        0..10,
    );
    (services, instances).prop_map(|(services, instances)| {
        let mut world = World::default();
        for (index, (replicas, hash, needs_build)) in services.into_iter().enumerate() {
            let mut wanted = service(NAMES[index], HASHES[hash], replicas, &NAMES[..index]);
            wanted.needs_build = needs_build;
            world = world.wants(wanted);
        }
        for (service, generation, replica, hash, state, standing) in instances {
            let name = format!("{}.v{generation}.{replica}", NAMES[service]);
            if world.observed.instances.iter().any(|seen| seen.name == instance(&name)) {
                continue;
            }
            world = world.sees(&name, HASHES[hash], state);
            world = match standing.filter(|_| state.is_running()) {
                None | Some(EndpointState::Starting) => world,
                Some(EndpointState::Ready) => world.serves(&name),
                Some(EndpointState::Draining) => world.drains(&name),
            };
        }
        world
    })
}

/// As [`arbitrary_world`], where some services are not to be changed: nobody has asked for them, or the
/// wanted version has failed, or another one has.
fn arbitrary_world_with_holds() -> impl Strategy<Value = World> {
    (arbitrary_world(), prop::collection::vec(0..4u8, 4)).prop_map(|(mut world, holds)| {
        for (name, hold) in NAMES.into_iter().zip(holds) {
            let name: ServiceName = name.parse().unwrap();
            match hold {
                0 => drop(world.policy.held.insert(name)),
                1 => {
                    let failing = world.desired.services.get(&name).map(|service| service.hash.clone());
                    world.policy.waiting.insert(name, failing);
                }
                2 => drop(world.policy.waiting.insert(name, Some(SpecHash("another".into())))),
                _ => {}
            }
        }
        world
    })
}

/// The process that knew who takes requests has died.
fn crashed(mut world: World) -> World {
    world.catalog = Catalog::default();
    world
}

fn carry_out(world: &mut World, plan: &Plan) {
    plan.steps.iter().for_each(|step| world.apply(step));
}

/// All steps that a step waits for, be it through others.
fn before<'p>(plan: &'p Plan, step: &'p Step) -> Vec<&'p Step> {
    let mut reached: BTreeSet<StepId> = BTreeSet::new();
    let mut open = step.after.clone();
    while let Some(id) = open.pop() {
        if reached.insert(id) {
            open.extend(plan.steps.iter().filter(|step| step.id == id).flat_map(|step| &step.after));
        }
    }
    plan.steps.iter().filter(|step| reached.contains(&step.id)).collect()
}

fn is_watched_before(plan: &Plan, step: &Step) -> bool {
    before(plan, step).iter().any(|step| matches!(step.action, Action::Watch { .. }))
}

/// Whether it runs here, and is of another version than what is wanted.
fn is_another_version(world: &World, name: &InstanceName) -> bool {
    let wanted = world.desired.services.get(&name.service).map(|service| &service.hash);
    let seen = world.observed.instances.iter().find(|seen| seen.name == *name);
    wanted.is_some() && seen.is_some_and(|seen| seen.state.is_running() && Some(&seen.hash) != wanted)
}

proptest! {
    #[test]
    fn planning_the_result_of_a_plan_gives_nothing(mut world in arbitrary_world_with_holds()) {
        let plan = world.plan();
        carry_out(&mut world, &plan);
        prop_assert_eq!(world.plan().to_string(), "");
    }

    #[test]
    fn after_any_prefix_of_a_plan_planning_again_converges(mut world in arbitrary_world(), cut in 0..60usize) {
        for step in world.plan().steps.into_iter().take(cut) {
            world.apply(&step);
        }
        for mut world in [world.clone(), crashed(world)] {
            let plan = world.plan();
            carry_out(&mut world, &plan);
            prop_assert_eq!(world.plan().to_string(), "");
            for (name, service) in &world.desired.services {
                prop_assert_eq!(world.serving(name), usize::from(service.replicas));
            }
        }
    }

    #[test]
    fn a_newcomer_that_stops_while_it_is_watched_leaves_as_many_serving_as_before(
        mut world in arbitrary_world(),
    ) {
        let plan = world.plan();
        for step in &plan.steps {
            world.apply(step);
            if let Action::Watch { instance, otherwise, .. } = &step.action {
                let mut bad = world.clone().stops(&instance.to_string());
                let failing = world.desired.services[&step.service].hash.clone();
                bad.policy.waiting.insert(step.service.clone(), Some(failing));
                let plan = bad.plan();
                carry_out(&mut bad, &plan);
                prop_assert!(bad.serving(&step.service) >= otherwise.len(), "{}", world.plan());
            }
        }
    }

    #[test]
    fn another_version_that_runs_is_removed_before_a_watch_only_if_an_older_one_and_enough_others_stay(
        world in arbitrary_world(),
    ) {
        let plan = world.plan();
        let unwatched: Vec<&InstanceName> = plan.steps.iter().filter_map(|step| match &step.action {
            Action::Remove { instance, .. } if !is_watched_before(&plan, step) => Some(instance),
            _ => None,
        }).collect();
        for instance in &unwatched {
            let replicas = world.desired.services.get(&instance.service).map_or(0, |one| one.replicas);
            if replicas > 0 && is_another_version(&world, instance) {
                let stays = |name: &&InstanceName| name.service == instance.service && !unwatched.contains(name);
                let running = world.observed.instances.iter().filter(|seen| seen.state.is_running());
                let staying: Vec<&InstanceName> = running.map(|seen| &seen.name).filter(stays).collect();
                let has_older = staying.iter().any(|name| name.generation < instance.generation);
                prop_assert!(has_older && staying.len() >= usize::from(replicas), "{instance} in\n{plan}");
            }
        }
    }

    #[test]
    fn who_waits_out_a_failure_is_served_by_what_runs_of_another_version(
        mut world in arbitrary_world_with_holds(),
    ) {
        let plan = world.plan();
        let before = world.clone();
        carry_out(&mut world, &plan);
        for (name, service) in &before.desired.services {
            let others = before.observed.instances.iter().filter(|seen| seen.name.service == *name);
            let others = others.filter(|seen| seen.state.is_running() && seen.hash != service.hash).count();
            if before.policy.waiting.contains_key(name) {
                prop_assert!(world.serving(name) >= others.min(usize::from(service.replicas)));
            }
        }
    }

    #[test]
    fn a_service_that_serves_never_stops_serving_while_it_is_wanted(mut world in arbitrary_world_with_holds()) {
        for step in world.plan().steps {
            let before = world.serving(&step.service);
            world.apply(&step);
            let wanted = world.desired.services.get(&step.service).map_or(0, |service| service.replicas);
            if before > 0 && wanted > 0 {
                prop_assert!(world.serving(&step.service) > 0, "{step:?}");
            }
        }
    }

    #[test]
    fn a_new_instance_is_admitted_before_another_one_is_withdrawn(world in arbitrary_world()) {
        let plan = world.plan();
        for step in plan.steps.iter().filter(|step| matches!(step.action, Action::Withdraw(_))) {
            let comes = |other: &&Step| {
                other.service == step.service && matches!(other.action, Action::Admit(_))
            };
            let is_wanted = world.desired.services.get(&step.service).is_some_and(|one| one.replicas > 0);
            if is_wanted && plan.steps.iter().any(|other| comes(&other)) {
                let admitted = before(&plan, step).iter().any(comes);
                prop_assert!(admitted, "{} in\n{plan}", step.subject());
            }
        }
    }

    #[test]
    fn every_step_waits_only_for_earlier_ones(world in arbitrary_world_with_holds()) {
        for step in world.plan().steps {
            prop_assert!(step.after.iter().all(|after| *after < step.id));
        }
    }

    #[test]
    fn equal_worlds_give_equal_plans(world in arbitrary_world_with_holds()) {
        prop_assert_eq!(world.plan(), world.clone().plan());
    }
}
