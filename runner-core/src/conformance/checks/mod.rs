//! The checks and what each proves.

mod adoption;
mod cleaning;
mod dropping;
mod ends;
mod follows;
mod jobs;
mod output;
mod preparing;
mod promises;
mod starts;
mod variables;

use std::fmt;

use futures_util::future::BoxFuture;

use super::bench::{Bench, Outcome, failed, not_applicable};

/// A check of the suite.
#[derive(Clone, Copy)]
pub struct Check {
    name: &'static str,
    promise: &'static str,
    run: fn(&Bench) -> BoxFuture<'_, Outcome>,
}

impl Check {
    /// Its name, which is also that of the test.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What an executor promises, in a sentence.
    pub fn promise(&self) -> &'static str {
        self.promise
    }

    pub(super) fn call<'a>(&self, bench: &'a Bench) -> BoxFuture<'a, Outcome> {
        (self.run)(bench)
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("name", &self.name).finish_non_exhaustive()
    }
}

/// All checks, in the order in which [`run`](super::run) makes them.
///
/// ```
/// let names: Vec<&str> = runner_core::conformance::checks().iter().map(|check| check.name()).collect();
/// assert!(names.contains(&"exit_codes_are_kept"));
/// ```
pub fn checks() -> &'static [Check] {
    CHECKS
}

macro_rules! checks {
    ($($module:ident::$name:ident: $promise:literal)*) => {
        const CHECKS: &[Check] = &[$(Check {
            name: stringify!($name),
            promise: $promise,
            run: |bench| Box::pin($module::$name(bench)),
        }),*];
    };
}

checks! {
    output::output_keeps_its_order: "what is printed on one of the outputs arrives whole, in order and as printed on that one"
    output::frames_leave_no_gap: "frames follow each other without gap or overlap, from offset 0 on"
    output::bytes_are_verbatim: "any bytes arrive as they were printed: NUL, invalid UTF-8, carriage returns, escapes"
    output::an_unfinished_last_line_arrives: "output without a final line end arrives, and none is added"
    output::a_prompt_arrives_while_the_stage_waits: "output arrives when it is printed, not when its line is finished or the stage ends"
    output::silence_is_no_end: "a stage that prints nothing for a while is followed on"
    output::large_output_arrives_whole: "output may be large (`Options::large_output`)"
    output::standard_input_is_empty: "a command that reads its standard input finds the end of it"
    output::background_processes_do_not_hold_the_stage: "a stage ends with its shell, though a process in the background lives on and holds the output"
    output::nothing_printed_is_taken_for_a_status: "nothing that a script prints can be mistaken for how it ended"
    output::output_after_a_request_to_end_arrives: "what is printed after a request to end arrives too"
    ends::exit_codes_are_kept: "the exit code of the shell is told as it is, from 0 to 255"
    ends::death_by_a_signal_is_told: "a shell that dies by a signal is told so, with its number"
    ends::the_end_comes_once_and_last: "a stream has exactly one end, and nothing comes after it"
    ends::status_tells_where_a_stage_is: "status says not started, running and ended at the right times"
    ends::status_and_stream_agree: "status and stream tell the same end"
    ends::a_stage_can_end_in_its_own_way: "a stage that is asked to end gets SIGTERM, and the grace to finish and choose its exit code"
    ends::a_deaf_stage_is_killed_after_the_grace: "a stage that does not end within the grace is killed"
    ends::killing_gives_no_time: "a stage that is killed gets no time"
    ends::killing_cuts_a_grace_short: "killing works while a grace runs"
    ends::stopping_what_does_not_run_is_success: "stopping a stage that was not started or has ended succeeds and changes nothing"
    ends::stopping_ends_one_stage_alone: "stopping a stage of one job does nothing to the same stage of another"
    variables::variables_reach_the_script: "values of secret variables reach the script unchanged: blanks, quotes, line ends, nothing, 100 kB"
    variables::the_last_of_two_values_counts: "of two values of one variable the last counts"
    variables::variables_stay_in_their_stage: "a variable of one stage is not set in the next"
    variables::files_have_their_value_exactly: "files of variables are written before the script begins, with parents, and hold the value and nothing else"
    variables::files_are_private: "files of variables have mode 0600"
    variables::files_leave_with_the_job: "cleaning up removes files of variables"
    variables::secrets_are_not_visible_to_others: "a secret is in no process's arguments, in no environment but the stage's, and not in the handle"
    starts::a_stage_runs_once: "start says new, running or ended and runs a stage once, however often it is called"
    starts::attempts_are_different_stages: "another attempt of a stage is another stage"
    starts::stages_may_have_any_name: "the name of a stage may be any text"
    starts::files_of_a_job_stay_for_its_next_stage: "what a stage leaves in the builds and cache folders is there in the job's next stage"
    follows::output_is_replayed_from_every_offset: "with `replay`: following again from any frame's end gives the same rest"
    follows::two_followers_see_the_same: "with `replay`: a stage can be followed twice at once"
    follows::a_dropped_stream_loses_nothing: "after a stream was dropped, following goes on behind the last frame that was seen"
    follows::the_end_is_told_again: "following an ended stage from its last offset tells its end, as often as it is done"
    follows::what_was_not_started_cannot_be_followed: "following a stage that was not started breaks at once, and is no end"
    follows::a_slow_reader_gets_everything: "a reader may be slow"
    jobs::jobs_do_not_mix: "jobs that run at once have outputs, ends and stages of their own"
    jobs::room_comes_back: "capacity counts what is reserved, and what is released can be reserved again"
    cleaning::cleaning_up_ends_what_runs: "cleaning up ends a stage that runs, also one that is deaf to SIGTERM"
    cleaning::cleaning_up_may_be_repeated: "cleaning up again is success"
    cleaning::what_was_never_prepared_is_clean: "cleaning up an environment that was never prepared is success"
    cleaning::making_an_environment_makes_nothing_else: "`Provider::environment` creates nothing outside"
    cleaning::cleaning_up_leaves_no_file: "after cleaning up the host's folders are as before, and a disposable place is gone"
    cleaning::what_stays_is_said: "what cleaning up cannot remove is in its answer, and nothing else is"
    cleaning::nothing_is_left_of_a_job: "after a job no process of it is left, and no descriptor in the manager"
    cleaning::a_failed_stage_is_no_obstacle: "after a cleanup the place can be prepared again"
    adoption::a_job_is_adopted_and_goes_on: "with `adoption`: dropping an environment detaches; the next manager finds it by its journaled handle and goes on without loss"
    adoption::an_end_that_nobody_saw_is_known: "with `adoption`: a stage that ended while there was no manager keeps its end and output"
    adoption::what_is_gone_is_not_adopted: "with `adoption`: a job that was cleaned up or never prepared is gone"
    adoption::handles_of_others_are_refused: "with `adoption`: a handle of another executor or job, or without sense, gives no environment"
    adoption::orphans_are_found_and_removed: "with a janitor: what a manager left is found and removed, and live jobs are left alone"
    promises::capabilities_are_kept: "adoption is promised exactly when there is an adopter, and replay with it"
    promises::features_are_there: "GitLab is promised nothing that environments do not have"
    promises::the_place_is_well_formed: "builds and cache are absolute paths without a trailing slash, and can be made"
    promises::the_shell_is_the_promised_one: "scripts run in the shell that provider and place name"
    promises::the_handle_is_known_from_the_start: "the handle is the same from before prepare to the end, survives JSON and is small"
    preparing::a_failure_to_prepare_says_why: "a place that cannot be made is an error with a cause and words, and can be cleaned up"
    preparing::a_canceled_preparation_says_so: "a preparation that is canceled ends with that cause"
    preparing::preparing_can_be_canceled_at_any_time: "wherever a preparation is canceled, it can be cleaned up and begun again"
    dropping::a_dropped_acquire_takes_no_room: "a dropped acquire reserves nothing"
    dropping::a_dropped_prepare_can_be_repeated: "a dropped prepare can be repeated"
    dropping::a_dropped_start_starts_once_or_not_at_all: "a dropped start has happened or not; starting again makes it happen once"
    dropping::a_dropped_look_at_a_stream_loses_nothing: "a dropped look at the next item of a stream loses nothing"
    dropping::dropped_questions_change_nothing: "a dropped status changes nothing"
    dropping::a_dropped_stop_can_be_repeated: "a dropped stop can be repeated"
    dropping::a_dropped_cleanup_can_be_repeated: "a dropped cleanup can be repeated"
}

/// What follows needs replay.
async fn replay(bench: &Bench) -> Outcome {
    if bench.host.provider().await.info().capabilities.replay {
        return Ok(());
    }
    not_applicable("output cannot be read again")
}

fn one_job_only() -> Outcome {
    not_applicable("there is room for one job only")
}
