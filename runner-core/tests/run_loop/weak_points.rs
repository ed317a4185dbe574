//! Jobs in short succession: what bounds their number is not the interval of asking.

use std::time::Duration;

use runner_coordinator::core::{Endpoint, JobState};
use runner_core::manager::Manager;

use crate::support::{Act, Fake, Payload, Rig};

/// A burst of trivial jobs is taken as fast as slots become free: no job waits for the next interval.
#[tokio::test(start_paused = true)]
async fn weak_point_a_burst_of_jobs_is_not_bound_to_the_interval() {
    let rig = Rig::in_process();
    let jobs: Vec<_> = (0..200).map(|_| rig.gitlab.enqueue(Payload::new(["true"]))).collect();
    let running = rig.start(Fake::new());
    rig.gitlab.finished(*jobs.last().unwrap()).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(jobs.iter().all(|job| rig.gitlab.state(*job) == JobState::Success));
    // No time has passed. When nothing was left, each slot that became free was a reason to ask once more.
    let asked = rig.gitlab.times(Endpoint::RequestJob);
    assert!(asked.iter().all(|at| *at == 0) && asked.len() <= 200 + 1 + 10, "{asked:?}");
    running.drain().await;
    rig.end().await;
}

/// With room for one job the next request follows its end.
#[tokio::test(start_paused = true)]
async fn weak_point_the_next_request_follows_the_end_of_a_job() {
    let rig = Rig::in_process();
    let token = rig.gitlab.create_runner();
    // The first of three jobs ends when it is stopped after seven seconds, by the limit of its time.
    let fake = Fake::new().on("step_script", Act::held());
    let jobs: Vec<_> = (0..3).map(|_| rig.gitlab.enqueue(Payload::new(["true"]).timeout(7))).collect();
    let running = rig.start_with(Manager::builder().runner(rig.entry(&token, fake)).concurrent(1));
    for job in &jobs {
        assert_eq!(rig.gitlab.finished(*job).await, JobState::Failed);
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    // Intervals would have been at 9, 18 and 27.
    assert_eq!(rig.gitlab.times(Endpoint::RequestJob)[..4], [0, 7, 14, 21]);
    running.drain().await;
    rig.end().await;
}
