//! The promises of the engine, whatever happens in whatever order.

use proptest::prelude::*;

use super::simulation::{Happening, Simulation};

fn arbitrary_wish() -> impl Strategy<Value = Happening> {
    let service = || 0..4_usize;
    prop_oneof![
        4 => (service(), 1..7_u32).prop_map(|(service, version)| Happening::Save { service, version }),
        3 => (any::<u8>(), 1..4_u16, 64..67_u32)
            .prop_map(|(services, replicas, pids)| Happening::Edit { services, replicas, pids }),
        1 => prop::option::of(service()).prop_map(|only| Happening::Apply { only }),
        1 => (service(), 1..4_u16).prop_map(|(service, replicas)| Happening::Scale { service, replicas }),
        1 => service().prop_map(|service| Happening::Restart { service }),
        1 => service().prop_map(|service| Happening::Redeploy { service }),
        2 => (service(), 1..7_u32).prop_map(|(service, version)| Happening::RollBack { service, version }),
    ]
}

fn arbitrary_mishap() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => any::<usize>().prop_map(|instance| Happening::Die { instance }),
        1 => any::<usize>().prop_map(|instance| Happening::Remove { instance }),
        1 => Just(Happening::Blind),
        1 => Just(Happening::Crash),
        1 => Just(Happening::Succeed),
    ]
}

fn arbitrary_order() -> impl Strategy<Value = Vec<Happening>> {
    let course = prop_oneof![
        8 => (any::<usize>(), any::<usize>()).prop_map(|(run, step)| Happening::Advance { run, step }),
        4 => Just(Happening::Decide),
        2 => Just(Happening::Look),
        1 => (0..70_u64).prop_map(|seconds| Happening::Pass { seconds }),
    ];
    let happening = prop_oneof![6 => course, 2 => arbitrary_wish(), 1 => arbitrary_mishap()];
    prop::collection::vec(happening, 0..160)
}

fn after(order: Vec<Happening>) -> Simulation {
    let mut simulation = Simulation::new();
    for happening in order {
        simulation.happen(happening);
    }
    simulation
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_ready_instance_is_always_admitted_before_one_is_withdrawn(order in arbitrary_order()) {
        let simulation = after(order);
        prop_assert!(simulation.gaps.is_empty(), "{}", simulation.gaps.join("\n"));
    }

    #[test]
    fn no_two_executors_are_ever_at_work_on_one_service(order in arbitrary_order()) {
        let simulation = after(order);
        prop_assert!(simulation.clashes.is_empty(), "{:?}", simulation.clashes);
    }

    #[test]
    fn who_waits_for_a_service_is_told_and_nothing_is_left_to_do_for_it(
        order in arbitrary_order(),
        service in 0..4_usize,
        course in prop::collection::vec(any::<usize>(), 0..40),
    ) {
        let mut simulation = after(order);
        let left = simulation.restart_and_wait(service, &course);
        prop_assert!(left.is_empty(), "{left:?}\n{}", simulation.story());
    }

    #[test]
    fn where_nothing_drifts_there_is_nothing_to_plan(order in arbitrary_order()) {
        let mut simulation = after(order);
        let plan = simulation.come_to_rest();
        prop_assert!(plan.is_empty(), "{plan}\n{}", simulation.story());
    }

    #[test]
    fn whatever_was_broken_off_what_is_wanted_is_what_is_there_in_the_end(
        order in arbitrary_order(),
        cut in prop_oneof![Just(Happening::Crash), Just(Happening::Succeed)],
    ) {
        let mut simulation = after(order);
        simulation.happen(cut);
        simulation.come_to_rest();
        for (serving, wanted, there) in simulation.census() {
            prop_assert_eq!((serving, there), (wanted, wanted), "{}", simulation.story());
        }
    }
}
