//! What is kept of an older version until the newer one has proved itself, and what becomes of it.

use super::world::{World, check, service};
use crate::model::instance::{Generation, SpecHash};

/// The wanted version of `a` is `new`, of which so many replicas are wanted.
fn replaced(replicas: u16) -> World {
    World::default().wants(service("a", "new", replicas, &[]))
}

fn failing(mut world: World) -> World {
    world.policy.waiting.insert("a".parse().unwrap(), Some(SpecHash("new".into())));
    world
}

#[test]
fn a_roll_starts_the_next_one_without_waiting_for_the_watch_of_the_last() {
    let world = replaced(2).runs("a.v1.1", "old").serves("a.v1.1").runs("a.v1.2", "old").serves("a.v1.2");
    check(
        &world,
        "\
[]      #1  a.v2.1  create+start  replaces v1
[1]     #2  a.v2.1  await-ready   started
[2]     #3  a.v2.1  admit         ready
[3]     #4  a.v2.2  create+start  replaces v1
[4]     #5  a.v2.2  await-ready   started
[5]     #6  a.v2.2  admit         ready
[3]     #7  a.v1.1  withdraw      replaced by v2
[7]     #8  a.v1.1  drain ≤10s    requests in flight
[3]     #9  a.v2.1  watch ≤2s     back to v1 if it stops
[8,9]   #10 a.v1.1  stop+remove   drained
[6]     #11 a.v1.2  withdraw      replaced by v2
[11]    #12 a.v1.2  drain ≤10s    requests in flight
[6]     #13 a.v2.2  watch ≤2s     back to v1 if it stops
[12,13] #14 a.v1.2  stop+remove   drained
",
    );
}

#[test]
fn a_version_that_was_given_up_while_it_was_watched_serves_until_the_next_one_has_been() {
    let world =
        replaced(1).runs("a.v1.1", "old").drains("a.v1.1").runs("a.v2.1", "given up").serves("a.v2.1");
    check(
        &world,
        "\
[]      #1 a.v3.1  create+start  replaces v1
[1]     #2 a.v3.1  await-ready   started
[2]     #3 a.v3.1  admit         ready
[3]     #4 a.v2.1  withdraw      replaced by v3
[4]     #5 a.v2.1  drain ≤10s    requests in flight
[]      #6 a.v1.1  drain ≤10s    requests in flight
[3]     #7 a.v3.1  watch ≤2s     back to v2 if it stops
[5,7]   #8 a.v2.1  stop+remove   drained
[3,6,7] #9 a.v1.1  stop+remove   drained
",
    );
}

#[test]
fn of_versions_that_were_replaced_one_after_the_other_the_oldest_and_the_one_that_serves_are_kept() {
    let world = replaced(1)
        .runs("a.v1.1", "old")
        .drains("a.v1.1")
        .runs("a.v2.1", "passed over")
        .drains("a.v2.1")
        .runs("a.v3.1", "given up")
        .serves("a.v3.1");
    check(
        &world,
        "\
[]      #1  a.v4.1  create+start  replaces v1
[1]     #2  a.v4.1  await-ready   started
[2]     #3  a.v4.1  admit         ready
[3]     #4  a.v3.1  withdraw      replaced by v4
[4]     #5  a.v3.1  drain ≤10s    requests in flight
[]      #6  a.v1.1  drain ≤10s    requests in flight
[]      #7  a.v2.1  drain ≤10s    requests in flight
[3]     #8  a.v4.1  watch ≤2s     back to v3 if it stops
[5,8]   #9  a.v3.1  stop+remove   drained
[3,6,8] #10 a.v1.1  stop+remove   drained
[3,7]   #11 a.v2.1  stop+remove   drained
",
    );
}

#[test]
fn an_older_version_stands_in_while_the_wanted_one_is_started() {
    check(
        &replaced(1).runs("a.v1.1", "old"),
        "\
[]    #1 a.v1.1  admit         stands in for the wanted version
[]    #2 a.v2.1  create+start  replaces v1
[2]   #3 a.v2.1  await-ready   started
[3]   #4 a.v2.1  admit         ready
[1,4] #5 a.v1.1  withdraw      replaced by v2
[5]   #6 a.v1.1  drain ≤10s    requests in flight
[4]   #7 a.v2.1  watch ≤2s     back to v1 if it stops
[6,7] #8 a.v1.1  stop+remove   drained
",
    );
}

#[test]
fn what_was_not_watched_to_the_end_is_watched_before_the_older_one_goes() {
    let world = replaced(1).runs("a.v1.1", "old").drains("a.v1.1").runs("a.v2.1", "new").serves("a.v2.1");
    check(
        &world,
        "\
[]    #1 a.v1.1  drain ≤10s   requests in flight
[]    #2 a.v2.1  watch ≤2s    back to v1 if it stops
[1,2] #3 a.v1.1  stop+remove  drained
",
    );
}

#[test]
fn a_saved_change_that_is_taken_back_within_the_window_is_taken_back_at_once() {
    let world = World::default()
        .wants(service("a", "old", 1, &[]))
        .runs("a.v1.1", "old")
        .drains("a.v1.1")
        .runs("a.v2.1", "new")
        .serves("a.v2.1");
    check(
        &world,
        "\
[]    #1 a.v1.1  await-ready  runs already, adopted
[1]   #2 a.v1.1  admit        ready
[2]   #3 a.v2.1  withdraw     replaced by v1
[3]   #4 a.v2.1  drain ≤10s   requests in flight
[2]   #5 a.v1.1  watch ≤2s    back to v2 if it stops
[4,5] #6 a.v2.1  stop+remove  drained
",
    );
}

#[test]
fn while_a_failed_version_waits_an_older_one_that_runs_is_called_back() {
    let world = failing(replaced(1)).runs("a.v1.1", "old").drains("a.v1.1");
    check(&world, "[] #1 a.v1.1  admit  stands in for the wanted version\n");
}

#[test]
fn a_version_that_was_on_watch_when_the_next_one_failed_is_watched_to_the_end_and_the_older_one_goes() {
    let older = failing(replaced(1)).runs("a.v1.1", "old").drains("a.v1.1").runs("a.v2.1", "untried");
    check(
        &older.clone().serves("a.v2.1"),
        "\
[]    #1 a.v1.1  drain ≤10s   requests in flight
[]    #2 a.v2.1  watch ≤2s    back to v1 if it stops
[1,2] #3 a.v1.1  stop+remove  drained
",
    );
    check(
        &older,
        "\
[]      #1 a.v2.1  admit        stands in for the wanted version
[]      #2 a.v1.1  drain ≤10s   requests in flight
[1]     #3 a.v2.1  watch ≤2s    back to v1 if it stops
[1,2,3] #4 a.v1.1  stop+remove  drained
",
    );
}

#[test]
fn what_nobody_asked_for_keeps_all_that_runs_of_it() {
    let mut world = replaced(1).runs("a.v1.1", "old").runs("a.v2.1", "newer").serves("a.v2.1");
    world.policy.held.insert("a".parse().unwrap());
    check(&world, "");
}

#[test]
fn what_is_left_of_a_failed_version_and_serves_nobody_goes() {
    let world = failing(replaced(2))
        .runs("a.v1.1", "old")
        .serves("a.v1.1")
        .runs("a.v1.2", "old")
        .drains("a.v1.2")
        .runs("a.v2.2", "new")
        .drains("a.v2.2");
    check(
        &world,
        "\
[]    #1 a.v1.2  admit        stands in for the wanted version
[]    #2 a.v2.2  drain ≤10s   requests in flight
[1,2] #3 a.v2.2  stop+remove  drained
",
    );
}

#[test]
fn what_failed_again_after_a_restart_is_no_reason_to_refuse_what_ran_before_it() {
    let mut world = failing(replaced(1)).runs("a.v1.1", "new").drains("a.v1.1");
    world.policy.restart_through.insert("a".parse().unwrap(), Generation::FIRST);
    check(&world, "[] #1 a.v1.1  admit  stands in for the wanted version\n");
}

#[test]
fn what_serves_of_a_failed_version_stays() {
    let world =
        failing(replaced(1)).runs("a.v1.1", "old").drains("a.v1.1").runs("a.v2.1", "new").serves("a.v2.1");
    check(&world, "");
}

#[test]
fn services_that_nobody_asked_for_or_that_cannot_be_read_go_on_serving() {
    let mut world = replaced(1).runs("a.v1.1", "old").runs("gone.v1.1", "h").runs("gone.v2.1", "i");
    world.policy.held = ["a", "gone"].map(|name| name.parse().unwrap()).into();
    check(
        &world,
        "\
[] #1 a.v1.1     admit  stands in for the wanted version
[] #2 gone.v2.1  admit  stands in for the wanted version
",
    );
}

#[test]
fn a_first_start_and_a_smaller_scale_are_not_watched() {
    let first = World::default().wants(service("a", "h", 1, &[]));
    let fewer = first.clone().runs("a.v1.1", "h").serves("a.v1.1").runs("a.v1.2", "h").serves("a.v1.2");
    for world in [first, fewer] {
        assert!(!world.plan().to_string().contains("watch"), "{}", world.plan());
    }
}
