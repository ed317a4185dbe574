//! Many jobs, limits and faults in any mixture, under virtual time: whatever happens, every job ends as it should, is reported
//! with its whole log, and leaves nothing behind.

use std::time::Duration;

use proptest::prelude::*;
use runner_coordinator::core::{JobId, JobState, Options};
use runner_core::manager::Manager;
use serde_json::json;

use crate::support::{Act, Fake, Payload, Rig};

/// What a job does, by the name of its step, and how it then ends.
const KINDS: [(&str, Option<&str>); 6] = [
    ("fine", None),
    ("bad", Some("script_failure")),
    ("broken", None),
    ("lost", Some("runner_system_failure")),
    ("late", Some("job_execution_timeout")),
    ("stuck", Some("job_execution_timeout")),
];

/// None of them lasts: in the end everything can be told.
const FAULTS: [&str; 14] = [
    "request_job:%3:503",
    "request_job:%2:reset",
    "request_job:2:reset=after",
    "request_job:2-3:403",
    "request_job:1-9:429,header=Retry-After=5",
    "request_job:%2:delay=70s",
    "update_job:%3:500",
    "update_job:%2:reset",
    "update_job:%3:reset=after",
    "update_job:%5:delay=15s",
    "patch_trace:%3:reset",
    "patch_trace:%3:reset=after",
    "patch_trace:%4:forget=70",
    "patch_trace:1-20:503",
];

fn places() -> Fake {
    let broken = Act::exit(0).prints("one\n").prints("two\n").prints("three\n");
    Fake::new()
        .on("step_bad", Act::exit(3).prints("words\n"))
        .on("step_broken", broken.breaks_before(1).breaks_before(3).blind(2))
        .on("step_lost", Act::lost().prints("words\n"))
        .on("step_late", Act::held().chatters(Duration::from_secs(7)))
        .on("step_stuck", Act::held().ignores_kill())
}

#[derive(Debug, Clone)]
struct Mixture {
    jobs: Vec<usize>,
    faults: Vec<usize>,
    concurrent: usize,
    limit: u32,
    request_concurrency: u32,
    /// For so long GitLab says that a log is not stored yet.
    storing: u64,
}

fn mixtures() -> impl Strategy<Value = Mixture> {
    let jobs = prop::collection::vec(0..KINDS.len(), 1..9);
    let faults = prop::collection::vec(0..FAULTS.len(), 0..4);
    (jobs, faults, 1..4_usize, 0..4_u32, 1..4_u32, 0..20_u64).prop_map(
        |(jobs, faults, concurrent, limit, request_concurrency, storing)| Mixture {
            storing,
            jobs,
            faults,
            concurrent,
            limit,
            request_concurrency,
        },
    )
}

async fn run(mixture: Mixture) {
    let rig = Rig::in_process_with(Options {
        long_poll: Duration::ZERO,
        trace_store_time: Duration::from_secs(mixture.storing),
        ..Options::default()
    });
    for fault in &mixture.faults {
        rig.gitlab.fault(FAULTS[*fault]);
    }
    let fake = places();
    let token = rig.gitlab.create_runner();
    let mut entry = rig.entry(&token, fake.clone());
    entry.poll.limit = mixture.limit;
    entry.poll.request_concurrency = mixture.request_concurrency;
    entry.job.final_update_tries = 100;
    let running = rig.start_with(Manager::builder().runner(entry).concurrent(mixture.concurrent));
    let jobs: Vec<(JobId, usize)> = mixture
        .jobs
        .iter()
        .map(|kind| {
            let steps = json!([{ "name": KINDS[*kind].0, "script": ["true"] }]);
            let payload = Payload::new(["true"]).field("steps", steps).timeout(100).after_script(["true"]);
            (rig.gitlab.enqueue(payload), *kind)
        })
        .collect();
    for (job, _) in &jobs {
        rig.gitlab.finished(*job).await;
    }
    running.drain().await;

    for (job, kind) in jobs {
        let (name, expected) = KINDS[kind];
        let (state, reason) = rig.gitlab.with(|gitlab, _| {
            let record = gitlab.job(job).unwrap();
            (record.state, record.failure_reason.clone())
        });
        if reason.as_deref() == Some("runner_provisioning_timeout") {
            // The answer that handed it out was lost.
            assert!(rig.gitlab.trace(job).is_empty());
            continue;
        }
        let expected_state = if expected.is_some() { JobState::Failed } else { JobState::Success };
        assert_eq!((state, reason.as_deref()), (expected_state, expected), "{name}");
        // Complete, and no line twice.
        rig.gitlab.final_update(job);
        let trace = rig.gitlab.trace(job);
        let last = if expected.is_some() { "Job failed" } else { "Job succeeded" };
        assert_eq!(trace.matches(last).count(), 1, "{trace}");
        if name == "broken" {
            assert!(trace.contains("\none\ntwo\nthree\n"), "{trace}");
        }
    }
    assert_eq!(fake.calls_of(&["acquire"]).len(), fake.calls_of(&["release"]).len());
    assert_eq!(fake.calls_of(&["environment"]).len(), fake.calls_of(&["cleanup JobEnded"]).len());
    rig.end().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_job_ends_as_it_should(mixture in mixtures()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(run(mixture));
    }
}
