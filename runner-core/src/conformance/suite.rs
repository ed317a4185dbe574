//! The suite as tests.

use super::{Host, Options, Verdict, checks, run_check};

/// Makes a `#[test]` for each check of the suite, for an executor's own tests.
///
/// The first argument makes a [`Host`](crate::conformance::Host): a path to a function, or a closure without arguments. The second,
/// if there is one, is an expression of [`Options`](crate::conformance::Options).
#[macro_export]
#[doc(hidden)]
macro_rules! __conformance_suite {
    ($host:expr) => {
        $crate::conformance::suite!($host, $crate::conformance::Options::default());
    };
    ($host:expr, $options:expr) => {
        $crate::conformance::suite! { @tests ($host) ($options)
            output_keeps_its_order
            frames_leave_no_gap
            bytes_are_verbatim
            an_unfinished_last_line_arrives
            a_prompt_arrives_while_the_stage_waits
            silence_is_no_end
            large_output_arrives_whole
            standard_input_is_empty
            background_processes_do_not_hold_the_stage
            nothing_printed_is_taken_for_a_status
            output_after_a_request_to_end_arrives
            exit_codes_are_kept
            death_by_a_signal_is_told
            the_end_comes_once_and_last
            status_tells_where_a_stage_is
            status_and_stream_agree
            a_stage_can_end_in_its_own_way
            a_deaf_stage_is_killed_after_the_grace
            killing_gives_no_time
            killing_cuts_a_grace_short
            stopping_what_does_not_run_is_success
            stopping_ends_one_stage_alone
            variables_reach_the_script
            the_last_of_two_values_counts
            variables_stay_in_their_stage
            files_have_their_value_exactly
            files_are_private
            files_leave_with_the_job
            secrets_are_not_visible_to_others
            a_stage_runs_once
            attempts_are_different_stages
            stages_may_have_any_name
            files_of_a_job_stay_for_its_next_stage
            output_is_replayed_from_every_offset
            two_followers_see_the_same
            a_dropped_stream_loses_nothing
            the_end_is_told_again
            what_was_not_started_cannot_be_followed
            a_slow_reader_gets_everything
            jobs_do_not_mix
            room_comes_back
            cleaning_up_ends_what_runs
            cleaning_up_may_be_repeated
            what_was_never_prepared_is_clean
            making_an_environment_makes_nothing_else
            cleaning_up_leaves_no_file
            what_stays_is_said
            nothing_is_left_of_a_job
            a_failed_stage_is_no_obstacle
            a_job_is_adopted_and_goes_on
            an_end_that_nobody_saw_is_known
            what_is_gone_is_not_adopted
            handles_of_others_are_refused
            orphans_are_found_and_removed
            capabilities_are_kept
            features_are_there
            the_place_is_well_formed
            the_shell_is_the_promised_one
            the_handle_is_known_from_the_start
            a_failure_to_prepare_says_why
            a_canceled_preparation_says_so
            preparing_can_be_canceled_at_any_time
            a_dropped_acquire_takes_no_room
            a_dropped_prepare_can_be_repeated
            a_dropped_start_starts_once_or_not_at_all
            a_dropped_look_at_a_stream_loses_nothing
            dropped_questions_change_nothing
            a_dropped_stop_can_be_repeated
            a_dropped_cleanup_can_be_repeated
        }
    };
    (@tests $host:tt $options:tt $($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                $crate::conformance::test(stringify!($name), $host, &$options);
            }
        )*

        #[test]
        fn the_suite_is_complete() {
            $crate::conformance::all_are_named(&[$(stringify!($name)),*], &$options);
        }
    };
}

/// One check as a test, in a runtime of its own: what [`suite!`](crate::conformance::suite) makes of each.
///
/// # Panics
/// When the check fails, does not apply without being named in [`Options::not_applicable`] or the reverse, or does not exist.
#[expect(clippy::panic, reason = "called by tests alone, where a panic is the report")]
pub fn test<H: Host + 'static>(name: &str, host: impl Fn() -> H, options: &Options) {
    let Some(check) = checks().iter().find(|check| check.name() == name) else {
        panic!("the suite has no check named {name}");
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => panic!("cannot make a runtime: {error}"),
    };
    let verdict = runtime.block_on(async { run_check(check, Box::new(host()), options).await });
    let expected = options.not_applicable.iter().any(|other| other == name);
    match verdict {
        Verdict::Failed(why) => panic!("{why}\npromised: {}", check.promise()),
        Verdict::NotApplicable(why) if !expected => {
            panic!("not applicable: {why}\nif that is so, name the check in Options::not_applicable")
        }
        Verdict::Passed if expected => {
            panic!("named in Options::not_applicable, but it applies: take it out of the list")
        }
        Verdict::Passed | Verdict::NotApplicable(_) => {}
    }
}

/// That the macro and the table agree, and that only checks are excused that exist.
///
/// # Panics
/// When they do not.
pub fn all_are_named(names: &[&str], options: &Options) {
    let table: Vec<&str> = checks().iter().map(super::Check::name).collect();
    assert_eq!(table, names, "the macro makes a test for each check");
    for name in &options.not_applicable {
        assert!(table.contains(&name.as_str()), "Options::not_applicable names {name}, which is no check");
    }
}
