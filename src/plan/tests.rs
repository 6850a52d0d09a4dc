//! Plans as text, and the promises as properties over generated worlds.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::*;
use crate::model::catalog::{Catalog, Endpoint, EndpointState};
use crate::model::desired::{Desired, DesiredService};
use crate::model::instance::{BuildDigest, Generation, InstanceName, Program, SpecHash};
use crate::model::name::ServiceName;
use crate::model::observed::{InstanceState, Observed, ObservedInstance};
use crate::model::platform::{Build, Database, Health, Limits, Run, ServiceSpec};
use crate::model::quantity::{ByteSize, Cpus, Port};
use crate::model::traffic::TrafficPolicy;

/// A world of a few services, in which plans can be carried out.
#[derive(Debug, Clone, Default)]
struct World {
    desired: Desired,
    observed: Observed,
    catalog: Catalog,
    policy: Policy,
}

fn service(name: &str, hash: &str, replicas: u16, calls: &[&str]) -> DesiredService {
    let name: ServiceName = name.parse().unwrap();
    let spec = ServiceSpec {
        name: name.clone(),
        context: None,
        folder: PathBuf::from("/p/services").join(name.as_str()),
        build: Build::Image { reference: "x:1".into() },
        process: None,
        run: Run {
            port: Port::try_from(8080).unwrap(),
            replicas,
            limits: Limits {
                memory: ByteSize::from_mebibytes(64),
                cpus: Cpus::from_count(1.0).unwrap(),
                pids: 64,
            },
            health: Health {
                path: "/health/ready".into(),
                start_period: Duration::from_secs(30),
                timeout: Duration::from_secs(1),
            },
            stop_grace: Duration::from_secs(10),
        },
        routes: Vec::new(),
        traffic: TrafficPolicy::default(),
        calls: calls.iter().map(|c| c.parse().unwrap()).collect(),
        database: Database::None,
        configuration: BTreeMap::new(),
    };
    DesiredService {
        spec,
        digest: BuildDigest(hash.into()),
        needs_build: false,
        program: Program::Image { reference: format!("x:{hash}") },
        environment: Vec::new(),
        hash: SpecHash(hash.into()),
        replicas,
        drain: Duration::from_secs(10),
    }
}

fn instance(name: &str) -> InstanceName {
    let mut parts = name.split('.');
    let mut next = || parts.next().expect("service.vN.M");
    InstanceName {
        service: next().parse().unwrap(),
        generation: Generation::new(next()[1..].parse().unwrap()).unwrap(),
        replica: next().parse().unwrap(),
    }
}

const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

impl World {
    fn wants(mut self, service: DesiredService) -> Self {
        self.desired.services.insert(service.spec.name.clone(), service);
        self
    }

    fn runs(self, name: &str, hash: &str) -> Self {
        self.sees(name, hash, InstanceState::Running { since: SystemTime::UNIX_EPOCH })
    }

    fn sees(mut self, name: &str, hash: &str, state: InstanceState) -> Self {
        let name = instance(name);
        self.observed.instances.retain(|seen| seen.name != name);
        let (hash, handle) = (SpecHash(hash.into()), name.to_string());
        let seen = ObservedInstance { name, hash, state, address: Some(ANYWHERE), handle, program: None };
        self.observed.instances.push(seen);
        self.observed.instances.sort_by(|a, b| a.name.cmp(&b.name));
        self
    }

    fn serves(mut self, name: &str) -> Self {
        let instance = instance(name);
        let endpoints = self.catalog.services.entry(instance.service.clone()).or_default();
        endpoints.push(Endpoint { instance, address: ANYWHERE, state: EndpointState::Ready });
        self
    }

    fn plan(&self) -> Plan {
        plan(&self.desired, &self.observed, &self.catalog, &self.policy)
    }

    /// Does what a step says, as a runtime and a registry would.
    fn apply(&mut self, step: &Step) {
        match &step.action {
            Action::Build => {
                if let Some(service) = self.desired.services.get_mut(&step.service) {
                    service.needs_build = false;
                }
            }
            Action::Start(name) => {
                let hash = self.desired.services[&step.service].hash.0.clone();
                *self = std::mem::take(self).runs(&name.to_string(), &hash);
            }
            Action::AwaitReady(_) | Action::Drain { .. } => {}
            Action::Admit(name) => *self = std::mem::take(self).serves(&name.to_string()),
            Action::Withdraw(name) => {
                let endpoints = self.catalog.services.get_mut(&name.service).expect("admitted before");
                endpoints.retain(|endpoint| endpoint.instance != *name);
            }
            Action::Remove { instance, .. } => self.observed.instances.retain(|seen| seen.name != *instance),
        }
    }

    fn serving(&self, service: &ServiceName) -> usize {
        self.catalog.services.get(service).map_or(0, Vec::len)
    }
}

fn check(world: &World, expected: &str) {
    let text = world.plan().to_string();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    assert_eq!(
        lines.join(
            "
"
        ),
        expected.trim_end()
    );
}

#[test]
fn what_comes_after_a_build_is_left_for_later_and_nothing_else_is() {
    let mut world = World::default();
    let mut order = service("order", "h2", 1, &["mail"]);
    order.needs_build = true;
    let mut mail = service("mail", "h1", 1, &[]);
    mail.needs_build = true;
    for wanted in [order, mail, service("cart", "h1", 1, &["mail"]), service("lamp", "h1", 1, &[])] {
        world.desired.services.insert(wanted.spec.name.clone(), wanted);
    }
    let plan = plan(&world.desired, &world.observed, &world.catalog, &world.policy).until_built();
    let steps: Vec<String> =
        plan.steps.iter().map(|step| format!("{} {}", step.subject(), step.action.kind())).collect();
    assert_eq!(
        steps,
        ["lamp.v1.1 create+start", "lamp.v1.1 await-ready", "lamp.v1.1 admit", "mail build", "order build"]
    );
}

#[test]
fn the_first_start_waits_for_what_it_calls() {
    let world =
        World::default().wants(service("order", "a", 1, &["product"])).wants(service("product", "b", 1, &[]));
    check(
        &world,
        "\
[]  #1 product.v1.1  create+start  nothing of it runs
[1] #2 product.v1.1  await-ready   started
[2] #3 product.v1.1  admit         ready
[3] #4 order.v1.1    create+start  nothing of it runs
[4] #5 order.v1.1    await-ready   started
[5] #6 order.v1.1    admit         ready
",
    );
}

#[test]
fn a_new_version_is_admitted_before_the_old_one_is_withdrawn() {
    let mut changed = service("orders", "new", 1, &[]);
    changed.needs_build = true;
    let world = World::default().wants(changed).runs("orders.v1.1", "old").serves("orders.v1.1");
    check(
        &world,
        "\
[]  #1 orders       build         no build of these sources yet
[1] #2 orders.v2.1  create+start  replaces v1
[2] #3 orders.v2.1  await-ready   started
[3] #4 orders.v2.1  admit         ready
[4] #5 orders.v1.1  withdraw      replaced by v2
[5] #6 orders.v1.1  drain ≤10s    requests in flight
[6] #7 orders.v1.1  stop+remove   drained
",
    );
}

#[test]
fn nothing_is_planned_where_nothing_differs() {
    let world = World::default().wants(service("a", "h", 1, &[])).runs("a.v3.1", "h").serves("a.v3.1");
    check(&world, "");
}

#[test]
fn what_runs_but_is_not_routed_to_is_adopted() {
    let world = World::default().wants(service("a", "h", 1, &[])).runs("a.v3.1", "h");
    check(
        &world,
        "[]  #1 a.v3.1  await-ready  runs already, adopted
[1] #2 a.v3.1  admit        ready
",
    );
}

#[test]
fn an_exited_instance_is_started_again_under_its_own_name() {
    let exited = InstanceState::Exited { code: Some(3), out_of_memory: false };
    let world = World::default().wants(service("a", "h", 1, &[])).sees("a.v1.1", "h", exited);
    check(
        &world,
        "[]  #1 a.v1.1  create+start  exited with code 3
[1] #2 a.v1.1  await-ready   started
[2] #3 a.v1.1  admit         ready
",
    );
}

#[test]
fn scaling_down_keeps_what_already_takes_requests() {
    let world = World::default()
        .wants(service("a", "h", 1, &[]))
        .runs("a.v1.1", "h")
        .runs("a.v1.2", "h")
        .serves("a.v1.2");
    check(&world, "[] #1 a.v1.1  stop+remove  more than wanted\n");
}

#[test]
fn what_is_in_no_manifest_leaves_and_what_is_held_stays() {
    let mut world = World::default().runs("gone.v1.1", "h").serves("gone.v1.1").runs("kept.v1.1", "h");
    world.policy.held = BTreeSet::from(["kept".parse().unwrap()]);
    check(
        &world,
        "\
[]  #1 gone.v1.1  withdraw     no longer in the manifest
[1] #2 gone.v1.1  drain ≤10s   requests in flight
[2] #3 gone.v1.1  stop+remove  drained
",
    );
}

#[test]
fn a_paused_instance_is_replaced_by_another_replica() {
    let world = World::default().wants(service("a", "h", 1, &[])).sees("a.v1.1", "h", InstanceState::Paused);
    check(
        &world,
        "\
[]  #1 a.v1.2  create+start  scaled from 0 to 1
[1] #2 a.v1.2  await-ready   started
[2] #3 a.v1.2  admit         ready
[3] #4 a.v1.1  stop+remove   more than wanted
",
    );
}

#[test]
fn a_draining_instance_is_not_called_back() {
    let mut world = World::default().wants(service("a", "h", 1, &[])).runs("a.v1.1", "h").serves("a.v1.1");
    let endpoints = world.catalog.services.values_mut().flatten();
    endpoints.for_each(|endpoint| endpoint.state = EndpointState::Draining);
    check(
        &world,
        "\
[]  #1 a.v1.2  create+start  scaled from 0 to 1
[1] #2 a.v1.2  await-ready   started
[2] #3 a.v1.2  admit         ready
[3] #4 a.v1.1  stop+remove   more than wanted
",
    );
}

#[test]
fn a_restart_replaces_instances_that_differ_in_nothing() {
    let mut world = World::default().wants(service("a", "h", 1, &[])).runs("a.v1.1", "h").serves("a.v1.1");
    world.policy.restart_through = BTreeMap::from([("a".parse().unwrap(), Generation::FIRST)]);
    let text = world.plan().to_string();
    assert!(text.starts_with("[]  #1 a.v2.1  create+start  restart of v1 was asked for\n"), "{text}");
}

fn arbitrary_state() -> impl Strategy<Value = InstanceState> {
    prop_oneof![
        3 => Just(InstanceState::Running { since: SystemTime::UNIX_EPOCH }),
        1 => Just(InstanceState::Created),
        1 => Just(InstanceState::Paused),
        1 => Just(InstanceState::Exited { code: Some(1), out_of_memory: false }),
    ]
}

/// Up to three services that call those before them, with any mixture of instances.
fn arbitrary_world() -> impl Strategy<Value = World> {
    let services = prop::collection::vec((0..4u16, 0..2usize, any::<bool>()), 0..4);
    let instances = prop::collection::vec(
        (0..4usize, 1..4u32, 1..4u16, 0..2usize, arbitrary_state(), any::<bool>()),
        0..10,
    );
    (services, instances).prop_map(|(services, instances)| {
        let names = ["a", "b", "c", "d"];
        let hashes = ["h", "i"];
        let mut world = World::default();
        for (index, (replicas, hash, needs_build)) in services.into_iter().enumerate() {
            let mut wanted = service(names[index], hashes[hash], replicas, &names[..index]);
            wanted.needs_build = needs_build;
            world = world.wants(wanted);
        }
        for (service, generation, replica, hash, state, served) in instances {
            let name = format!("{}.v{generation}.{replica}", names[service]);
            let known = world.observed.instances.iter().any(|seen| seen.name == instance(&name));
            world = world.sees(&name, hashes[hash], state);
            if served && state.is_running() && !known {
                world = world.serves(&name);
            }
        }
        world.catalog.services.values_mut().for_each(|endpoints| {
            let running = |e: &Endpoint| {
                world.observed.instances.iter().any(|seen| seen.name == e.instance && seen.state.is_running())
            };
            endpoints.retain(running);
        });
        world
    })
}

proptest! {
    #[test]
    fn planning_the_result_of_a_plan_gives_nothing(mut world in arbitrary_world()) {
        for step in world.plan().steps {
            world.apply(&step);
        }
        prop_assert_eq!(world.plan().to_string(), "");
    }

    #[test]
    fn after_any_prefix_of_a_plan_planning_again_converges(mut world in arbitrary_world(), cut in 0..40usize) {
        for step in world.plan().steps.into_iter().take(cut) {
            world.apply(&step);
        }
        for step in world.plan().steps {
            world.apply(&step);
        }
        prop_assert!(world.plan().is_empty());
    }

    #[test]
    fn a_service_that_serves_never_stops_serving_while_it_is_wanted(mut world in arbitrary_world()) {
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
    fn every_step_waits_only_for_earlier_ones(world in arbitrary_world()) {
        for step in world.plan().steps {
            prop_assert!(step.after.iter().all(|after| *after < step.id));
        }
    }

    #[test]
    fn equal_worlds_give_equal_plans(world in arbitrary_world()) {
        prop_assert_eq!(world.plan(), world.clone().plan());
    }
}
