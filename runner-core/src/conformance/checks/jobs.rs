//! Several jobs, and the room they take.

use futures_util::future::try_join_all;

use super::super::bench::{Bench, Outcome, TestJob, ensure, failed, stage};
use crate::executor::{AcquireError, Provider, StageEnd};

/// So many jobs run at once, where they may.
const JOBS: u16 = 4;
/// Who gives out more reservations than this has no limit worth looking for.
const RESERVATIONS: usize = 64;

pub(super) async fn jobs_do_not_mix(bench: &Bench) -> Outcome {
    let provider = bench.host.provider().await;
    let mut jobs = Vec::new();
    while jobs.len() < JOBS.into() {
        let Some(job) = bench.try_unprepared(&provider).await? else { break };
        job.prepare().await?;
        jobs.push(job);
    }
    if jobs.len() < 2 {
        return super::one_job_only();
    }
    try_join_all(jobs.into_iter().zip(1..).map(|(job, number)| print(job, number))).await.map(drop)
}

async fn print(job: TestJob<'_>, number: i32) -> Outcome {
    let line = format!("job {number}\n");
    let script =
        format!("i=0\nwhile [ $i -lt 50 ]; do echo 'job {number}'; i=$((i+1)); done\nexit {number}\n");
    // All have the same key: it names a stage within its job.
    let printed = job.run(&stage(1), script).await?;
    ensure!(printed.stdout() == line.repeat(50).as_bytes(), "job {number} has the output of others");
    ensure!(printed.end == StageEnd::Exit(number), "job {number} ended with {}", printed.end);
    job.finish().await
}

pub(super) async fn room_comes_back(bench: &Bench) -> Outcome {
    let provider = bench.host.provider().await;
    let (first, why) = fill(bench, provider.as_ref()).await?;
    let (second, _) = fill(bench, provider.as_ref()).await?;
    ensure!(first == second, "there was room for {first} jobs, then for {second}");
    ensure!(first > 0, "there is no room for any job: {why:?}");
    Ok(())
}

/// Takes all room there is, gives it back, and tells how much it was.
async fn fill(bench: &Bench, provider: &dyn Provider) -> Outcome<(usize, Option<String>)> {
    let capacity = provider.capacity();
    let before = capacity.borrow().clone();
    let mut reservations = Vec::new();
    let mut why = None;
    bench.doing_now("taking all room");
    while reservations.len() < RESERVATIONS {
        match provider.acquire().await {
            Ok(reservation) => reservations.push(reservation),
            Err(AcquireError::NoCapacity(text)) => {
                ensure!(!text.is_empty(), "there is no room, and nobody says why");
                ensure!(!capacity.borrow().is_available(), "acquire has no room, but capacity has");
                why = Some(text);
                break;
            }
            Err(AcquireError::Unusable(error)) => return failed(format!("acquire failed: {error}")),
        }
    }
    if let Some(more) = before.more
        && let Ok(more) = usize::try_from(more)
    {
        let promised = more.min(RESERVATIONS);
        ensure!(
            reservations.len() == promised,
            "room for {more} jobs gave {} reservations",
            reservations.len()
        );
    }
    let taken = reservations.len();
    bench.doing_now("giving room back");
    for reservation in reservations {
        provider.release(reservation).await;
    }
    let after = capacity.borrow().clone();
    ensure!(
        after.more == before.more,
        "room was {:?} and is {:?} after giving it back",
        before.more,
        after.more
    );
    Ok((taken, why))
}
