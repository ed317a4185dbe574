//! Ends from outside, four seconds after the job's coming: GitLab's answers tell of them once per interval, and the last answer
//! before came after three seconds.

use std::time::Duration;

use runner_coordinator::core::{Endpoint, JobState};

use crate::payload::Payload;
use crate::row::{in_time, payload};
use crate::talker::{Script, lines_until};
use crate::world::{World, options};

const AT: Duration = Duration::from_secs(4);
/// GitLab's next answer is this much later.
const ANSWER: Duration = Duration::from_secs(2);

fn endless(faults: &[String], payload: Payload) -> World {
    World::start(options(), faults, payload, Script::Endless)
}

/// A user cancels, and GitLab takes nothing more: the log up to the last answer is there, because it was sent while the job
/// ran.
#[tokio::test(start_paused = true)]
async fn fault_cancel_mid() {
    let world = endless(&[], payload());
    world.at(AT).await;
    assert_eq!(world.gitlab.cancel(world.job, true), Some(JobState::Canceled));
    let lived = world.end().await;
    in_time("cancel-mid", ANSWER, lived.took - AT);
    assert_eq!(lived.told_to_end(), Some(AT + ANSWER));
    assert_eq!((lived.state, lived.final_update), (JobState::Canceled, None));
    assert!(lived.log.ends_with(&lines_until(Duration::from_secs(3))), "{}", lived.log);
    assert_eq!(lived.talker.happened().stages.last().unwrap().name, "step_script", "no after_script");
    assert_eq!(lived.ends.len(), 1, "the end is offered once");
}

/// GitLab refuses the job from now on.
#[tokio::test(start_paused = true)]
async fn fault_forbidden_mid() {
    let world = endless(&["job:@4s-:403".to_owned()], payload());
    let lived = world.end().await;
    in_time("forbidden-mid", ANSWER, lived.took - AT);
    assert_eq!(lived.told_to_end(), Some(AT + ANSWER));
    assert_eq!((lived.state, lived.final_update), (JobState::Running, None));
    assert!(lived.log.ends_with(&lines_until(Duration::from_secs(3))), "{}", lived.log);
    assert_eq!(lived.ends.len(), 1, "the end is offered once");
}

/// GitLab refuses the log, and only that: the state is told all the same.
#[tokio::test(start_paused = true)]
async fn fault_forbidden_mid_of_the_log() {
    let world = endless(&["patch_trace:3-:403".to_owned()], payload());
    let lived = world.end().await;
    in_time("forbidden-mid, the log only", ANSWER, lived.took - AT);
    assert_eq!(lived.state, JobState::Failed);
    assert!(lived.log.ends_with(&lines_until(Duration::from_secs(3))), "{}", lived.log);
    assert_eq!(lived.requests(Endpoint::PatchTrace), 3);
}

/// A user cancels gracefully.
#[tokio::test(start_paused = true)]
async fn fault_canceling_mid() {
    let world = endless(&[], payload());
    world.at(AT).await;
    assert_eq!(world.gitlab.cancel(world.job, false), Some(JobState::Canceling));
    let lived = world.end().await;
    in_time("canceling-mid", ANSWER, lived.took - AT);
    let after_script = lived.script("after_script").unwrap();
    assert!(after_script.contains("CI_JOB_STATUS=canceled"), "{after_script}");
    assert_eq!(lived.state, JobState::Canceled);
    assert!(lived.log.contains(&lines_until(AT + ANSWER)), "{}", lived.log);
    assert!(lived.final_update.unwrap().trace_is_complete());
    assert_eq!(lived.ends.len(), 1);
}

/// The manager is told to end its jobs.
#[tokio::test(start_paused = true)]
async fn fault_sigterm() {
    let known = payload().reasons(["runner_system_failure", "runner_interrupted"]);
    for (payload, reason) in [(known, "runner_interrupted"), (payload(), "unknown_failure")] {
        let world = endless(&[], payload);
        world.at(AT).await;
        world.manager.interrupt();
        let lived = world.end().await;
        in_time("SIGTERM with a running job", Duration::ZERO, lived.took - AT);
        assert_eq!((lived.state, lived.failure_reason.as_deref()), (JobState::Failed, Some(reason)));
        assert_eq!(lived.told_to_end(), Some(AT));
        assert!(lived.log.contains(&lines_until(AT)), "{}", lived.log);
        assert!(lived.final_update.unwrap().trace_is_complete());
        assert_eq!(lived.ends.len(), 1);
    }
}
