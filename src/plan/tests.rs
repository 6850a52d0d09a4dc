//! Plans as text.

use std::collections::{BTreeMap, BTreeSet};

use self::world::{World, check, service};
use crate::model::catalog::EndpointState;
use crate::model::instance::Generation;
use crate::model::observed::InstanceState;

mod going_back;
mod properties;
pub mod world;

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
    // Its drain and its end may take long, and are not to hold up what comes after the build.
    let world =
        world.runs("order.v2.1", "h1").serves("order.v2.1").runs("order.v1.1", "h0").drains("order.v1.1");
    assert!(world.plan().steps.iter().any(|step| step.subject() == "order.v1.1"));
    let plan = world.plan().until_built();
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
[]    #1 orders       build         no build of these sources yet
[1]   #2 orders.v2.1  create+start  replaces v1
[2]   #3 orders.v2.1  await-ready   started
[3]   #4 orders.v2.1  admit         ready
[4]   #5 orders.v1.1  withdraw      replaced by v2
[5]   #6 orders.v1.1  drain ≤10s    requests in flight
[4]   #7 orders.v2.1  watch ≤2s     back to v1 if it stops
[6,7] #8 orders.v1.1  stop+remove   drained
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
    let mut world = World::default()
        .runs("gone.v1.1", "h")
        .serves("gone.v1.1")
        .runs("kept.v1.1", "h")
        .serves("kept.v1.1");
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
fn a_draining_instance_that_is_wanted_again_is_called_back() {
    let mut world = World::default().wants(service("a", "h", 1, &[])).runs("a.v1.1", "h").serves("a.v1.1");
    let endpoints = world.catalog.services.values_mut().flatten();
    endpoints.for_each(|endpoint| endpoint.state = EndpointState::Draining);
    check(
        &world,
        "\
[]  #1 a.v1.1  await-ready  runs already, adopted
[1] #2 a.v1.1  admit        ready
",
    );
}

#[test]
fn a_restart_replaces_instances_that_differ_in_nothing() {
    let mut world = World::default().wants(service("a", "h", 1, &[])).runs("a.v1.1", "h").serves("a.v1.1");
    world.policy.restart_through = BTreeMap::from([("a".parse().unwrap(), Generation::FIRST)]);
    let text = world.plan().to_string();
    assert!(text.starts_with("[]    #1 a.v2.1  create+start  restart of v1 was asked for\n"), "{text}");
}
