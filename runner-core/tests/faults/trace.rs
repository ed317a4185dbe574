//! Faults of the trace: while the job runs, and when its rest is to be sent.

use std::time::Duration;

use runner_coordinator::core::{Endpoint, JobState};

use crate::row::{Row, payload};
use crate::talker::{Script, lines_until};
use crate::world::{World, options};

#[tokio::test(start_paused = true)]
async fn fault_trace_5xx() {
    Row::new("trace-5xx", ["patch_trace:2:500", "patch_trace:3:502", "patch_trace:4:503"]).check().await;
    Row::new("trace-5xx, at the end", ["patch_trace:1-3&@5900ms-:503"]).check().await;
}

#[tokio::test(start_paused = true)]
async fn fault_trace_429() {
    Row::new("trace-429", ["patch_trace:2:429,header=Retry-After=2"]).check().await;
    let row = Row::new("trace-429, at the end", ["patch_trace:1&@5900ms-:429,header=Retry-After=2"]);
    row.length(Duration::from_secs(2)).check().await;
}

#[tokio::test(start_paused = true)]
async fn fault_trace_404() {
    Row::new("trace-404", ["patch_trace:2:404"]).check().await;
    // What is not sent then is lost.
    Row::new("trace-404, at the end", ["patch_trace:1-2&@5900ms-:404"]).check().await;
}

#[tokio::test(start_paused = true)]
async fn fault_trace_409() {
    Row::new("trace-409", ["patch_trace:2:409"]).check().await;
    Row::new("trace-409, at the end", ["patch_trace:1&@5900ms-:409"]).check().await;
}

/// The server lost half of what it had.
#[tokio::test(start_paused = true)]
async fn fault_trace_416() {
    Row::new("trace-416", ["patch_trace:2:forget=100"]).check().await;
    let lived = Row::new("trace-416, at the end", ["patch_trace:1&@5900ms-:forget=300"]).check().await;
    assert!(lived.requests(Endpoint::PatchTrace) > 3, "nothing was repaired");
}

/// Three connections in a row are lost, the first and the last one with an answer that says that everything had arrived.
#[tokio::test(start_paused = true)]
async fn fault_trace_reset() {
    for after in ["reset", "reset=after"] {
        let fault = format!("patch_trace:2-4:{after}");
        Row::new("trace-reset", [&fault]).check().await;
        let fault = format!("patch_trace:1-3&@5900ms-:{after}");
        Row::new("trace-reset, at the end", [&fault]).check().await;
    }
}

/// 30 % of all PATCHes are lost on the way there or on the way back.
#[tokio::test(start_paused = true)]
async fn fault_reset_all() {
    for seed in 0..20 {
        let row = Row::new("reset-all", ["patch_trace:~0.15:reset", "patch_trace:~0.15:reset=after"]);
        row.options(|options| options.seed = seed).check().await;
    }
}

/// One PATCH hangs for ten seconds: is processed late, is answered late, or is lost.
#[tokio::test(start_paused = true)]
async fn fault_trace_stall() {
    for stall in ["delay-before=10s", "delay=10s", "stall", "stall=after"] {
        let fault = format!("patch_trace:2:{stall}");
        Row::new("trace-stall", [&fault]).until(Duration::from_secs(13)).check().await;
    }
    let row = Row::new("trace-stall, at the end", ["patch_trace:1&@5900ms-:delay-before=10s"]);
    row.until(Duration::from_millis(15_960)).check().await;
}

/// Beside a PATCH that hangs the server hears of the job, and the job of a cancel.
#[tokio::test(start_paused = true)]
async fn fault_trace_stall_keeps_nothing_else_waiting() {
    let stall = ["patch_trace:2:stall".to_owned()];
    let world = World::start(options(), &stall, payload(), Script::Endless);
    world.at(Duration::from_secs(4)).await;
    world.gitlab.cancel(world.job, false);
    let lived = world.end().await;
    // The server heard of the job at the start; ten seconds later it is told again, and answers.
    assert_eq!(lived.told_to_end(), Some(Duration::from_secs(10)));
    assert_eq!(lived.times(Endpoint::UpdateJob)[..2], [Duration::ZERO, Duration::from_secs(10)]);
    assert_eq!(lived.state, JobState::Canceled);
    assert!(lived.log.contains(&lines_until(Duration::from_secs(10))), "{}", lived.log);
    assert!(lived.final_update.unwrap().trace_is_complete());
}
