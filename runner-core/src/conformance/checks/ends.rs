//! How a stage ends, and how it is asked to.

use std::time::Duration;

use super::super::bench::{Bench, Outcome, WAIT, ensure, failed, gate, show, stage};
use crate::executor::{StageEnd, StageStatus, Stop};

/// More than any check takes.
const LONG: Duration = Duration::from_secs(3600);
/// Prints when it is asked to end, and goes on.
const DEAF: &str = "trap 'echo asked' TERM\necho ready\nwhile :; do sleep 0.05; done\n";

/// Needs long to end when it is asked to.
const BUSY: &str = "trap 'sleep 3600; exit 0' TERM\necho ready\nwhile :; do sleep 0.05; done\n";

pub(super) async fn exit_codes_are_kept(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    for (ordinal, code) in [(1, 0), (2, 1), (3, 2), (4, 127), (5, 128), (6, 255)] {
        let end = job.run(&stage(ordinal), format!("exit {code}\n")).await?.end;
        ensure!(end == StageEnd::Exit(code), "ended with {end} instead of exit code {code}");
    }
    job.finish().await
}

pub(super) async fn death_by_a_signal_is_told(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    for (ordinal, signal) in [(1, 9), (2, 15)] {
        let end = job.run(&stage(ordinal), format!("kill -{signal} $$\n")).await?.end;
        ensure!(end == StageEnd::Signal(signal), "ended with {end} instead of signal {signal}");
    }
    job.finish().await
}

pub(super) async fn the_end_comes_once_and_last(bench: &Bench) -> Outcome {
    use futures_util::StreamExt as _;

    let (job, _) = bench.job().await?;
    let key = stage(1);
    job.start(&key, "echo text\n").await?;
    bench.doing_now("reading a stream to its last item");
    let events: Vec<_> = job.environment.follow(&key, 0).collect().await;
    let ends = events.iter().filter(|event| !matches!(event, crate::executor::FollowEvent::Frame(_))).count();
    ensure!(ends == 1, "the stream had {ends} ends: {events:?}");
    let last = matches!(events.last(), Some(crate::executor::FollowEvent::Ended(StageEnd::Exit(0))));
    ensure!(last, "the end is not the last item: {events:?}");
    job.finish().await
}

pub(super) async fn status_tells_where_a_stage_is(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    let key = stage(1);
    let status = job.status(&key).await?;
    ensure!(matches!(status, StageStatus::NotStarted), "a stage that was not started is {status:?}");
    let mut reading = job.begin(&key, gate()).await?;
    reading.until("ready\n").await?;
    let status = job.status(&key).await?;
    ensure!(matches!(status, StageStatus::Running), "a stage that waits is {status:?}");
    job.open_gate(&key).await?;
    reading.end().await?;
    let status = job.status(&key).await?;
    ensure!(matches!(status, StageStatus::Ended(StageEnd::Exit(0))), "a stage that ended is {status:?}");
    job.finish().await
}

pub(super) async fn status_and_stream_agree(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    for (ordinal, script) in [(1, "exit 0\n"), (2, "exit 3\n"), (3, "kill -9 $$\n")] {
        let key = stage(ordinal);
        let told = job.run(&key, script).await?.end;
        match job.status(&key).await? {
            StageStatus::Ended(end) if end == told => {}
            other => return failed(format!("the stream says {told}, the status {other:?}")),
        }
    }
    job.finish().await
}

pub(super) async fn a_stage_can_end_in_its_own_way(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    let key = stage(1);
    let script = "trap 'echo asked; sleep 0.1; echo finished; exit 5' TERM\necho ready\nwhile :; do sleep 0.05; done\n";
    let mut reading = job.begin(&key, script).await?;
    reading.until("ready\n").await?;
    job.stop(&key, Stop::Terminate { grace: LONG }).await?;
    let printed = reading.end().await?;
    let stdout = printed.stdout();
    ensure!(stdout == b"ready\nasked\nfinished\n", "printed {}", show(&stdout));
    ensure!(printed.end == StageEnd::Exit(5), "ended with {} instead of exit code 5", printed.end);
    job.finish().await
}

pub(super) async fn a_deaf_stage_is_killed_after_the_grace(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    let key = stage(1);
    let mut reading = job.begin(&key, DEAF).await?;
    reading.until("ready\n").await?;
    job.stop(&key, Stop::Terminate { grace: Duration::from_millis(500) }).await?;
    let printed = reading.end().await?;
    ensure!(!printed.end.is_success(), "a killed stage ended with {}", printed.end);
    job.finish().await
}

pub(super) async fn killing_gives_no_time(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    let key = stage(1);
    let mut reading = job.begin(&key, BUSY).await?;
    reading.until("ready\n").await?;
    job.stop(&key, Stop::Kill).await?;
    let printed = reading.end().await?;
    ensure!(!printed.end.is_success(), "a killed stage ended with {}", printed.end);
    let stdout = printed.stdout();
    ensure!(stdout == b"ready\n", "printed {}", show(&stdout));
    job.finish().await
}

pub(super) async fn killing_cuts_a_grace_short(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    let key = stage(1);
    let mut reading = job.begin(&key, DEAF).await?;
    reading.until("ready\n").await?;
    job.stop(&key, Stop::Terminate { grace: LONG }).await?;
    reading.until("asked\n").await?;
    job.stop(&key, Stop::Kill).await?;
    let printed = reading.end().await?;
    ensure!(!printed.end.is_success(), "a killed stage ended with {}", printed.end);
    job.finish().await
}

pub(super) async fn stopping_what_does_not_run_is_success(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    let key = stage(1);
    job.stop(&key, Stop::Kill).await?;
    job.stop(&key, Stop::Terminate { grace: LONG }).await?;
    job.run(&key, "echo ran\n").await?.expect("ran\n")?;
    job.stop(&key, Stop::Terminate { grace: LONG }).await?;
    job.stop(&key, Stop::Kill).await?;
    let status = job.status(&key).await?;
    ensure!(matches!(status, StageStatus::Ended(StageEnd::Exit(0))), "the stage is now {status:?}");
    job.finish().await
}

pub(super) async fn stopping_ends_one_stage_alone(bench: &Bench) -> Outcome {
    let provider = bench.host.provider().await;
    let first = bench.unprepared(&provider).await?;
    let Some(second) = bench.try_unprepared(&provider).await? else {
        return super::one_job_only();
    };
    first.prepare().await?;
    second.prepare().await?;
    let key = stage(1);
    let mut reading = first.begin(&key, gate()).await?;
    reading.until("ready\n").await?;
    let mut other = second.begin(&key, WAIT).await?;
    other.until("ready\n").await?;
    second.stop(&key, Stop::Kill).await?;
    other.end().await?;
    second.finish().await?;
    let status = first.status(&key).await?;
    ensure!(matches!(status, StageStatus::Running), "the same stage of another job is now {status:?}");
    first.open_gate(&key).await?;
    reading.end().await?.expect("ready\n")?;
    first.finish().await
}
