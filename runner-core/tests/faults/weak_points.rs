//! The log of a job that talks much, or without line ends: what is at GitLab while it runs.

use std::time::Duration;

use runner_coordinator::core::{Endpoint, JobState};

use crate::row::payload;
use crate::talker::Script;
use crate::world::{World, options};

/// Behind GitLab's second answer, and before the third one.
const AT: Duration = Duration::from_secs(4);

/// More than one PATCH per interval: nothing waits for the job's end.
#[tokio::test(start_paused = true)]
async fn weak_point_a_chatty_job_is_seen_while_it_runs() {
    const SIZE: usize = 3_900_000;
    let world = World::start(options(), &[], payload(), Script::Burst(SIZE));
    world.at(AT).await;
    let seen = world.gitlab.read_trace(world.job, 0);
    assert!(seen.len() >= SIZE, "{} bytes are there", seen.len());
    let lived = world.end().await;
    assert_eq!(lived.state, JobState::Success);
    // The beginning, a burst of four, the rest.
    assert_eq!(lived.requests(Endpoint::PatchTrace), 6, "{:?}", lived.times(Endpoint::PatchTrace));
    assert!(lived.log.contains("and the end\n"));
}

/// A progress bar moves, with time stamps and without.
#[tokio::test(start_paused = true)]
async fn weak_point_text_without_a_line_end_is_not_held_back() {
    for timestamps in ["false", "true"] {
        let payload = payload().variable("FF_TIMESTAMPS", timestamps);
        let world = World::start(options(), &[], payload, Script::Dots);
        world.at(AT).await;
        let seen = String::from_utf8(world.gitlab.read_trace(world.job, 0)).unwrap();
        // 20 dots were printed until the last answer. With time stamps each piece is a line of the wire that says that it goes on.
        let printed = seen.rsplit_once("step_script\" stage of the job script").unwrap().1;
        assert_eq!(printed.matches('.').count(), 20 + stamps(printed), "{printed:?}");
        let lived = world.end().await;
        assert_eq!(lived.state, JobState::Success);
    }
}

/// Time stamps hold a dot each.
fn stamps(text: &str) -> usize {
    text.matches("Z 01O").count()
}
