//! Calls whose futures are dropped before they are done.
//!
//! Every call is made again and again: polled once and dropped, polled twice and dropped, until it is done before it would be
//! dropped. After each the same call has to work as if the first had not been made, or had been.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use super::super::bench::{Bench, During as _, Outcome, WAIT, ensure, failed, stage};
use crate::executor::{AcquireError, StageEnd, StageStatus, Stop};

pub(super) async fn a_dropped_acquire_takes_no_room(bench: &Bench) -> Outcome {
    let provider = bench.host.provider().await;
    let before = provider.capacity().borrow().more;
    for polls in 0.. {
        bench.doing_now(format!("dropping acquire after {polls} steps"));
        match poll_times(provider.acquire(), polls).await {
            Some(Ok(reservation)) => {
                provider.release(reservation).await;
                break;
            }
            Some(Err(AcquireError::NoCapacity(why))) => {
                return failed(format!("the room is gone after {polls} dropped calls: {why}"));
            }
            Some(Err(AcquireError::Unusable(error))) => return failed(format!("acquire failed: {error}")),
            None => {}
        }
    }
    let after = provider.capacity().borrow().more;
    ensure!(before == after, "room was {before:?} and is {after:?} after dropped calls");
    Ok(())
}

pub(super) async fn a_dropped_prepare_can_be_repeated(bench: &Bench) -> Outcome {
    let provider = bench.host.provider().await;
    for polls in 0.. {
        let job = bench.unprepared(&provider).await?;
        bench.doing_now(format!("dropping prepare after {polls} steps"));
        let done =
            poll_times(job.try_prepare(tokio_util::sync::CancellationToken::new()), polls).await.is_some();
        job.prepare().await?;
        job.run(&stage(1), "echo text\n").await?.expect("text\n")?;
        job.finish().await?;
        if done {
            break;
        }
    }
    Ok(())
}

pub(super) async fn a_dropped_start_starts_once_or_not_at_all(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    for polls in 0..u16::MAX {
        let key = stage(polls);
        let input = job.input("echo once\n");
        bench.doing_now(format!("dropping start after {polls} steps"));
        let first = poll_times(job.environment.start(&key, input.clone()), polls.into()).await;
        let again = job.environment.start(&key, input).await;
        again.during(&format!("start after one that was dropped after {polls} steps"))?;
        job.read(&key, 0).end().await?.expect("once\n")?;
        if first.is_some() {
            break;
        }
    }
    job.finish().await
}

pub(super) async fn a_dropped_look_at_a_stream_loses_nothing(bench: &Bench) -> Outcome {
    use crate::executor::FollowEvent;
    use futures_util::StreamExt as _;

    let (job, _) = bench.job().await?;
    let key = stage(1);
    // Slow enough that there is something to wait for between the lines.
    job.start(&key, "i=0\nwhile [ $i -lt 30 ]; do sleep 0.01; echo \"line $i\"; i=$((i+1)); done\n").await?;
    let expected: String = (0..30).map(|i| format!("line {i}\n")).collect();
    let (mut offset, mut seen) = (0, Vec::new());
    let (mut polls, mut stream) = (0, job.environment.follow(&key, 0));
    let end = loop {
        bench.doing_now(format!("dropping a look at a stream after {polls} steps"));
        match poll_times(stream.next(), polls).await {
            Some(Some(FollowEvent::Frame(frame))) => {
                ensure!(frame.offset == offset, "a frame begins at {} where {offset} is next", frame.offset);
                offset = frame.end;
                seen.extend_from_slice(&frame.bytes);
                polls = 0;
            }
            Some(Some(FollowEvent::Ended(end))) => break end,
            Some(other) => return failed(format!("the stream gave {other:?}")),
            // Every second time the whole stream goes.
            None if polls % 2 == 1 => {
                stream = job.environment.follow(&key, offset);
                polls += 1;
            }
            None => polls += 1,
        }
    };
    ensure!(seen == expected.as_bytes(), "{} bytes came instead of {}", seen.len(), expected.len());
    ensure!(end == StageEnd::Exit(0), "ended with {end} instead of exit code 0");
    job.finish().await
}

pub(super) async fn dropped_questions_change_nothing(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    let key = stage(1);
    let mut reading = job.begin(&key, WAIT).await?;
    reading.until("ready\n").await?;
    for polls in 0.. {
        bench.doing_now(format!("dropping status after {polls} steps"));
        let done = poll_times(job.environment.status(&key), polls).await.is_some();
        let status = job.status(&key).await?;
        ensure!(matches!(status, StageStatus::Running), "after a dropped status the stage is {status:?}");
        if done {
            break;
        }
    }
    job.stop(&key, Stop::Kill).await?;
    reading.end().await?;
    job.finish().await
}

pub(super) async fn a_dropped_stop_can_be_repeated(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    for polls in 0..u16::MAX {
        let key = stage(polls);
        let mut reading = job.begin(&key, WAIT).await?;
        reading.until("ready\n").await?;
        bench.doing_now(format!("dropping stop after {polls} steps"));
        let done = poll_times(job.environment.stop(&key, Stop::Kill), polls.into()).await.is_some();
        job.stop(&key, Stop::Kill).await?;
        let end = reading.end().await?.end;
        ensure!(!end.is_success(), "a killed stage ended with {end}");
        if done {
            break;
        }
    }
    job.finish().await
}

pub(super) async fn a_dropped_cleanup_can_be_repeated(bench: &Bench) -> Outcome {
    let provider = bench.host.provider().await;
    for polls in 0.. {
        let job = bench.unprepared(&provider).await?;
        job.prepare().await?;
        let mut reading = job.begin(&stage(1), WAIT).await?;
        reading.until("ready\n").await?;
        drop(reading);
        bench.doing_now(format!("dropping cleanup after {polls} steps"));
        let cleanup =
            job.environment.cleanup(crate::executor::CleanupReason::JobEnded, super::super::bench::CLEANUP);
        let done = poll_times(cleanup, polls).await.is_some();
        let left = job.clean().await?;
        ensure!(left.is_empty(), "after a dropped cleanup another left {left:?}");
        let status = job.status(&stage(1)).await?;
        ensure!(!matches!(status, StageStatus::Running), "after cleanup the stage still runs");
        job.finish().await?;
        if done {
            break;
        }
    }
    Ok(())
}

/// Polls a future so often, each time when it wants to be, and drops it; its output if it was done before.
pub(super) async fn poll_times<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
