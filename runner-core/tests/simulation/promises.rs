//! What holds after every schedule, whatever happened in it.
//!
//! 1. Every job ended once, in a state that follows from its script and from what was done to it: by users, or by somebody who
//!    interrupted the manager. That managers died or were detached from their jobs changes nothing.
//! 2. What the server has of a job's log is what the runner said it has, and each stage's output in it is what was printed,
//!    masked, whole and in order: no byte twice, none missing, no secret. What the runner says in it is said once, too.
//! 3. Nothing is left: no place, no reservation, no entry of the journal, no task.

use std::collections::BTreeMap;

use runner_coordinator::core::{FinalUpdate, JobId, JobRecord, JobState};
use runner_core::journal::Journal;

use crate::places::{Ending, SECRET};
use crate::world::{JobPlan, World};

pub(crate) fn check(world: &World) {
    for (job, plan) in &world.jobs {
        let record = world.network.with(|coordinator, _| Record::of(coordinator.job(*job).unwrap()));
        let told = format!("job {job} ({plan:?}) is {:?} {:?}", record.state, record.reason);
        world.network.note(format_args!("{told}:\n{}", record.trace));
        assert_eq!(world.network.ends_of(*job), 1, "{told}: ends");
        ended_as_it_should(world, *job, plan, &record, &told);
        log_is_right(world, *job, &record, &told);
    }
    assert_eq!(world.places.left(), [0; 0], "places are left");
    assert_eq!(world.places.reserved(), 0, "reservations are left");
    assert_eq!(world.disk.journal.entries().unwrap().len(), 0, "entries of the journal are left");
    assert_eq!(world.tasks_left, 0, "tasks are left");
}

/// What the server knows of a job.
struct Record {
    state: JobState,
    reason: Option<String>,
    trace: String,
    /// Whether the runner's final state was taken; then, whether its sums were those of the trace.
    complete: Option<bool>,
}

impl Record {
    fn of(record: &JobRecord) -> Self {
        Self {
            state: record.state,
            reason: record.failure_reason.clone(),
            trace: String::from_utf8(record.trace.from(0).to_vec()).unwrap(),
            complete: record.final_update.as_ref().map(FinalUpdate::trace_is_complete),
        }
    }
}

fn ended_as_it_should(world: &World, job: JobId, plan: &JobPlan, record: &Record, told: &str) {
    let number = job.0;
    let accepted = world.disk.accepted.lock().unwrap().contains(&number);
    let cut_off = world.cut_off.lock().unwrap().contains(&number);
    let reason = record.reason.as_deref();
    let planned = match plan.ending {
        Ending::Exit(0) => None,
        Ending::Exit(_) => Some("script_failure"),
        Ending::Never => Some("job_execution_timeout"),
        Ending::Lost => Some("runner_system_failure"),
    };
    let fine = match (record.state, reason) {
        (JobState::Success, _) => planned.is_none(),
        (JobState::Failed, reason) if reason == planned => true,
        // The answer that handed it out was lost, or nobody could say in time that it was accepted.
        (JobState::Failed, Some("runner_provisioning_timeout")) => true,
        (
            JobState::Failed,
            Some("runner_system_failure" | "runner_interrupted" | "unknown_failure" | "job_canceled"),
        ) => cut_off || plan.cancel.is_some(),
        (JobState::Canceled, _) => plan.cancel.is_some(),
        _ => false,
    };
    assert!(fine, "{told}: accepted {accepted}, cut off {cut_off}");
}

fn log_is_right(world: &World, job: JobId, record: &Record, told: &str) {
    let trace = &record.trace;
    assert!(!trace.contains(SECRET), "{told}: a secret is in the log:\n{trace}");
    if let Some(complete) = record.complete {
        assert!(complete, "{told}: the log is not what the runner said it is");
    }
    once(trace, told);
    let delivered = record.complete.is_some() && record.state != JobState::Canceled;
    for (key, stage) in world.places.stages(job.0) {
        let output = stage.output();
        let expected = masked(&output);
        let marker = format!("<<{job} {} {}>>\n", key.name, key.attempt);
        let found = match trace.find(&marker) {
            Some(at) => until_the_runner_speaks(&trace[at..]),
            None => "",
        };
        assert!(trace.matches(&marker).count() <= 1, "{told}: {key} is in the log twice:\n{trace}");
        if delivered && stage.has_ended() && !stage.is_lost() && expected.starts_with(&marker) {
            assert_eq!(found, expected, "{told}: {key}");
        } else if expected.starts_with(&marker) {
            let is_beginning = (0..=output.len()).any(|cut| masked(&output[..cut]) == found);
            assert!(is_beginning, "{told}: {key}: {found:?} is no beginning of {output:?}");
        }
    }
}

/// The runner repeats nothing, in however many lives it works at a job: no section is begun or ended twice, but those of stages
/// that are tried more often, and no line is there twice.
fn once(trace: &str, told: &str) {
    for word in ["section_start:", "section_end:"] {
        let mut names = BTreeMap::new();
        for part in trace.split(word).skip(1) {
            let name = part.split_once(':').and_then(|(_, rest)| rest.split_once('\r'));
            let name = name.unwrap_or_else(|| panic!("{told}: an odd marker: {part}")).0;
            *names.entry(name).or_insert(0) += 1;
        }
        for (name, count) in names {
            let most = if name == "get_sources" { 3 } else { 1 };
            assert!(count <= most, "{told}: {word}{name} is there {count} times:\n{trace}");
        }
    }
    for (line, most) in
        [("Running with runner", 1), ("Job succeeded", 1), ("Job failed", 1), ("Retrying...", 2)]
    {
        assert!(trace.matches(line).count() <= most, "{told}: {line} is there too often:\n{trace}");
    }
}

/// The output of a stage: what comes before the next line of the runner's own.
fn until_the_runner_speaks(text: &str) -> &str {
    let end = ["\x1b", "section_", "\r"].iter().filter_map(|mark| text.find(mark)).min();
    &text[..end.unwrap_or(text.len())]
}

/// What the log shows of an output.
fn masked(output: &str) -> String {
    output.replace(SECRET, "[MASKED]")
}
