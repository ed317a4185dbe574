//! [`Fault`]: what can be wrong with an executor, and which checks have to say so.

/// One mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    // What is printed.
    StderrAsStdout,
    EmptyFrame,
    LossyUtf8,
    AddsNewline,
    LineBuffered,
    SilenceIsAnEnd,
    CutsLargeOutput,
    StdinStaysOpen,
    WaitsForBackground,
    BelievesWhatIsPrinted,
    DropsLateOutput,
    // How stages end.
    SignedExitCode,
    SignalsAsShellCodes,
    EndsTwice,
    NotStartedIsUnknown,
    StatusHasAnotherEnd,
    StopIsASignal,
    KillsAtOnce,
    WaitsForEver,
    KillingAsks,
    SecondStopIsIgnored,
    StopFailsWhenNothingRuns,
    StopsOtherJobs,
    // Variables.
    TrimsVariables,
    FirstValueCounts,
    KeepsVariables,
    AddsNewlineToFiles,
    PublicFiles,
    FilesStay,
    SecretsInArguments,
    SecretsInHandle,
    // Starts.
    RunningIsEnded,
    AttemptsAreOne,
    RefusesNames,
    WipesBetweenStages,
    // Following.
    ReplayLosesAFrame,
    OneFollower,
    LosesReadAhead,
    EndIsToldOnce,
    NotStartedEnds,
    SlowReaderLosesEnd,
    // Jobs.
    MixesJobs,
    RoomIsLost,
    // Cleaning up.
    LeavesRunning,
    FourthCleanupFails,
    CleansOnlyWhatWasPrepared,
    MakesFolderTooEarly,
    LeavesAFile,
    LeavesThePlace,
    HidesWhatStays,
    InventsWhatStays,
    LeavesAProcess,
    LeavesADescriptor,
    PreparesOnce,
    // Adoption.
    DropKills,
    ForgetsEnds,
    GoneLater,
    AdoptsAnybody,
    LiveOrphans,
    // Promises.
    AdoptionWithoutAdopter,
    TerminalWithoutTerminal,
    TrailingSlash,
    NotBash,
    HandleChanges,
    // Preparing.
    FailureIsCancel,
    IgnoresCancel,
    CancelPoisons,
    // Dropped calls.
    DroppedAcquire,
    DroppedPrepare,
    DroppedStart,
    DroppedLook,
    DroppedStatus,
    DroppedStop,
    DroppedCleanup,
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) fault: Fault,
    /// The checks that fail, and no others: the first is the one that is meant for it.
    pub(crate) caught_by: &'static [&'static str],
    /// Whether it shows by nothing happening any more.
    pub(crate) hangs: bool,
}

const fn row(fault: Fault, caught_by: &'static [&'static str]) -> Row {
    Row { fault, caught_by, hangs: false }
}

const fn hang(fault: Fault, caught_by: &'static [&'static str]) -> Row {
    Row { fault, caught_by, hangs: true }
}

pub(crate) const TABLE: &[Row] = &[
    row(Fault::StderrAsStdout, &["output_keeps_its_order"]),
    row(Fault::EmptyFrame, &["frames_leave_no_gap"]),
    row(Fault::LossyUtf8, &["bytes_are_verbatim"]),
    // Everything that ends without a line end tells.
    row(
        Fault::AddsNewline,
        &[
            "an_unfinished_last_line_arrives",
            "bytes_are_verbatim",
            "variables_reach_the_script",
            "files_have_their_value_exactly",
            "large_output_arrives_whole",
            "output_is_replayed_from_every_offset",
        ],
    ),
    hang(Fault::LineBuffered, &["a_prompt_arrives_while_the_stage_waits"]),
    row(Fault::SilenceIsAnEnd, &["silence_is_no_end"]),
    row(Fault::CutsLargeOutput, &["large_output_arrives_whole"]),
    hang(Fault::StdinStaysOpen, &["standard_input_is_empty"]),
    hang(Fault::WaitsForBackground, &["background_processes_do_not_hold_the_stage"]),
    row(Fault::BelievesWhatIsPrinted, &["nothing_printed_is_taken_for_a_status"]),
    row(Fault::DropsLateOutput, &["output_after_a_request_to_end_arrives"]),
    row(Fault::SignedExitCode, &["exit_codes_are_kept"]),
    row(Fault::SignalsAsShellCodes, &["death_by_a_signal_is_told"]),
    row(Fault::EndsTwice, &["the_end_comes_once_and_last"]),
    row(Fault::NotStartedIsUnknown, &["status_tells_where_a_stage_is", "an_end_that_nobody_saw_is_known"]),
    row(Fault::StatusHasAnotherEnd, &["status_and_stream_agree"]),
    row(Fault::StopIsASignal, &["a_stage_can_end_in_its_own_way", "a_job_is_adopted_and_goes_on"]),
    // Whatever is let go on by a request to end tells.
    row(
        Fault::KillsAtOnce,
        &[
            "a_stage_can_end_in_its_own_way",
            "output_after_a_request_to_end_arrives",
            "status_tells_where_a_stage_is",
            "killing_cuts_a_grace_short",
            "stopping_ends_one_stage_alone",
            "a_stage_runs_once",
            "two_followers_see_the_same",
            "a_job_is_adopted_and_goes_on",
        ],
    ),
    hang(Fault::WaitsForEver, &["a_deaf_stage_is_killed_after_the_grace"]),
    hang(Fault::KillingAsks, &["killing_gives_no_time"]),
    hang(Fault::SecondStopIsIgnored, &["killing_cuts_a_grace_short"]),
    row(Fault::StopFailsWhenNothingRuns, &["stopping_what_does_not_run_is_success"]),
    row(Fault::StopsOtherJobs, &["stopping_ends_one_stage_alone"]),
    row(Fault::TrimsVariables, &["variables_reach_the_script"]),
    row(Fault::FirstValueCounts, &["the_last_of_two_values_counts"]),
    row(Fault::KeepsVariables, &["variables_stay_in_their_stage"]),
    row(Fault::AddsNewlineToFiles, &["files_have_their_value_exactly"]),
    row(Fault::PublicFiles, &["files_are_private"]),
    row(Fault::FilesStay, &["files_leave_with_the_job", "what_stays_is_said"]),
    row(Fault::SecretsInArguments, &["secrets_are_not_visible_to_others"]),
    row(Fault::SecretsInHandle, &["secrets_are_not_visible_to_others"]),
    row(Fault::RunningIsEnded, &["a_stage_runs_once", "a_job_is_adopted_and_goes_on"]),
    row(Fault::AttemptsAreOne, &["attempts_are_different_stages"]),
    row(Fault::RefusesNames, &["stages_may_have_any_name"]),
    row(Fault::WipesBetweenStages, &["files_of_a_job_stay_for_its_next_stage"]),
    row(Fault::ReplayLosesAFrame, &["output_is_replayed_from_every_offset"]),
    row(Fault::OneFollower, &["two_followers_see_the_same"]),
    row(
        Fault::LosesReadAhead,
        &["a_dropped_stream_loses_nothing", "a_dropped_look_at_a_stream_loses_nothing"],
    ),
    row(Fault::EndIsToldOnce, &["the_end_is_told_again", "output_is_replayed_from_every_offset"]),
    row(Fault::NotStartedEnds, &["what_was_not_started_cannot_be_followed"]),
    row(Fault::SlowReaderLosesEnd, &["a_slow_reader_gets_everything"]),
    row(Fault::MixesJobs, &["jobs_do_not_mix"]),
    row(Fault::RoomIsLost, &["room_comes_back"]),
    row(Fault::LeavesRunning, &["cleaning_up_ends_what_runs", "a_dropped_cleanup_can_be_repeated"]),
    row(Fault::FourthCleanupFails, &["cleaning_up_may_be_repeated"]),
    // Whatever is not prepared before it is cleaned up tells.
    row(
        Fault::CleansOnlyWhatWasPrepared,
        &[
            "what_was_never_prepared_is_clean",
            "making_an_environment_makes_nothing_else",
            "what_is_gone_is_not_adopted",
        ],
    ),
    row(Fault::MakesFolderTooEarly, &["making_an_environment_makes_nothing_else"]),
    row(Fault::LeavesAFile, &["cleaning_up_leaves_no_file"]),
    row(Fault::LeavesThePlace, &["cleaning_up_leaves_no_file"]),
    row(Fault::HidesWhatStays, &["what_stays_is_said"]),
    row(Fault::InventsWhatStays, &["what_stays_is_said"]),
    hang(Fault::LeavesAProcess, &["nothing_is_left_of_a_job", "cleaning_up_ends_what_runs"]),
    hang(Fault::LeavesADescriptor, &["nothing_is_left_of_a_job"]),
    row(Fault::PreparesOnce, &["a_failed_stage_is_no_obstacle", "preparing_can_be_canceled_at_any_time"]),
    row(Fault::DropKills, &["a_job_is_adopted_and_goes_on"]),
    row(Fault::ForgetsEnds, &["an_end_that_nobody_saw_is_known"]),
    row(Fault::GoneLater, &["what_is_gone_is_not_adopted"]),
    row(Fault::AdoptsAnybody, &["handles_of_others_are_refused"]),
    row(Fault::LiveOrphans, &["orphans_are_found_and_removed"]),
    row(Fault::AdoptionWithoutAdopter, &["capabilities_are_kept"]),
    row(Fault::TerminalWithoutTerminal, &["features_are_there"]),
    row(Fault::TrailingSlash, &["the_place_is_well_formed"]),
    row(Fault::NotBash, &["the_shell_is_the_promised_one"]),
    row(Fault::HandleChanges, &["the_handle_is_known_from_the_start"]),
    row(Fault::FailureIsCancel, &["a_failure_to_prepare_says_why"]),
    row(Fault::IgnoresCancel, &["a_canceled_preparation_says_so"]),
    row(Fault::CancelPoisons, &["preparing_can_be_canceled_at_any_time"]),
    row(Fault::DroppedAcquire, &["a_dropped_acquire_takes_no_room"]),
    row(Fault::DroppedPrepare, &["a_dropped_prepare_can_be_repeated"]),
    row(Fault::DroppedStart, &["a_dropped_start_starts_once_or_not_at_all"]),
    row(Fault::DroppedLook, &["a_dropped_look_at_a_stream_loses_nothing"]),
    row(Fault::DroppedStatus, &["dropped_questions_change_nothing"]),
    hang(Fault::DroppedStop, &["a_dropped_stop_can_be_repeated"]),
    row(Fault::DroppedCleanup, &["a_dropped_cleanup_can_be_repeated"]),
];
