//! What every runtime promises, checked the same way on each: [`cases`] holds the promises,
//! [`subject`] what is needed to run them, the other modules one runtime each.

mod cases;
pub mod docker;
mod fake;
mod process;
pub mod subject;

/// Makes a test of every case, run on the subject that `$subject` gives.
macro_rules! contract {
    ($subject:path) => {
        contract! { $subject;
            a_launched_instance_is_observed_with_its_name_hash_and_address,
            a_launched_instance_answers_at_its_address,
            an_instance_finds_its_environment_and_its_port,
            instances_are_observed_in_the_order_of_their_names,
            an_instance_that_obeys_is_stopped_within_its_grace,
            an_instance_that_ignores_the_request_is_killed_after_its_grace,
            stopping_and_removing_what_is_gone_succeeds,
            an_instance_that_ends_by_itself_is_observed_with_its_exit_code,
            a_removed_instance_is_no_longer_observed,
            launching_over_what_an_ended_instance_left_replaces_it,
            launching_what_runs_already_leaves_it_alone,
            launching_another_version_over_a_running_instance_is_refused,
            a_program_that_is_not_there_cannot_be_launched,
            logs_come_oldest_first_and_the_tail_is_the_newest,
            logs_from_before_the_time_asked_for_are_left_out,
            followed_logs_end_with_the_instance,
            logs_of_an_unknown_instance_are_an_error,
            a_command_inside_an_instance_gives_its_exit_code,
            a_command_needs_a_running_instance,
            changes_wake_when_an_instance_ends,
            another_platforms_instances_are_neither_seen_nor_touched,
            a_second_runtime_adopts_what_the_first_started,
            tearing_down_leaves_nothing_but_kept_data,
        }
    };
    ($subject:path; $($case:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                if let Some(subject) = $subject().await {
                    subject.check($crate::contract::cases::$case).await;
                }
            }
        )*
    };
}
use contract;
