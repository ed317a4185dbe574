//! Managers that end and managers that come after them.

use std::sync::Arc;

use super::super::bench::{
    Bench, During as _, Outcome, TestJob, ensure, failed, gate, not_applicable, stage,
};
use crate::executor::{
    Adoption, Handle, JobContext, Provider, SecretVariable, StageEnd, StageStatus, Started,
};

pub(super) async fn a_job_is_adopted_and_goes_on(bench: &Bench) -> Outcome {
    needs_adoption(bench).await?;
    let (job, _) = bench.job().await?;
    let key = stage(1);
    let mut reading = job.begin(&key, format!("echo one\n{}echo two\nexit 3\n", gate())).await?;
    reading.until("ready\n").await?;
    let (handle, offset) = (journaled(&job.environment.handle())?, reading.next);
    drop(reading);
    let (context, marker) = job.detach();

    let job = adopt(bench, &handle, context, marker).await?;
    ensure!(job.environment.handle() == handle, "the handle is another one after adoption");
    let status = job.status(&key).await?;
    ensure!(matches!(status, StageStatus::Running), "the stage is {status:?} after adoption");
    let started = job.environment.start(&key, job.input("echo twice\n")).await.during("start")?;
    ensure!(started == Started::Running, "starting the stage again says {started:?}");
    job.open_gate(&key).await?;
    let printed = job.read(&key, offset).end().await?;
    ensure!(
        printed.stdout() == b"two\n",
        "after adoption came {:?}",
        String::from_utf8_lossy(&printed.stdout())
    );
    ensure!(printed.end == StageEnd::Exit(3), "ended with {} instead of exit code 3", printed.end);
    let all = job.read(&key, 0).end().await?.stdout();
    ensure!(all == b"one\nready\ntwo\n", "from the beginning came {:?}", String::from_utf8_lossy(&all));
    // The job goes on where it was.
    let started = job.environment.start(&stage(2), job.input("echo next\n")).await.during("start")?;
    ensure!(started == Started::New, "starting the next stage says {started:?}");
    job.read(&stage(2), 0).end().await?.expect("next\n")?;
    job.finish().await
}

pub(super) async fn an_end_that_nobody_saw_is_known(bench: &Bench) -> Outcome {
    needs_adoption(bench).await?;
    let (job, _) = bench.job().await?;
    let key = stage(1);
    let printed = job.run(&key, "echo unseen\nexit 9\n").await?;
    ensure!(printed.end == StageEnd::Exit(9), "ended with {} instead of exit code 9", printed.end);
    let handle = journaled(&job.environment.handle())?;
    let (context, marker) = job.detach();
    let job = adopt(bench, &handle, context, marker).await?;
    let status = job.status(&key).await?;
    ensure!(
        matches!(status, StageStatus::Ended(StageEnd::Exit(9))),
        "the stage is {status:?} after adoption"
    );
    let started = job.environment.start(&key, job.input("echo twice\n")).await.during("start")?;
    ensure!(started == Started::Ended, "starting the stage again says {started:?}");
    let printed = job.read(&key, 0).end().await?;
    ensure!(printed.stdout() == b"unseen\n", "the output is gone after adoption");
    let never = job.status(&stage(2)).await?;
    ensure!(matches!(never, StageStatus::NotStarted), "a stage that was not started is {never:?}");
    job.finish().await
}

pub(super) async fn what_is_gone_is_not_adopted(bench: &Bench) -> Outcome {
    needs_adoption(bench).await?;
    let (job, _) = bench.job().await?;
    job.run(&stage(1), "echo text\n").await?.expect("text\n")?;
    let handle = journaled(&job.environment.handle())?;
    let context = job.context.clone();
    job.finish().await?;
    gone(bench, &handle, &context, "a job that was cleaned up").await?;

    let provider = bench.host.provider().await;
    let job = bench.unprepared(&provider).await?;
    let (handle, context) = (journaled(&job.environment.handle())?, job.context.clone());
    job.finish().await?;
    gone(bench, &handle, &context, "a job that was never prepared").await
}

pub(super) async fn handles_of_others_are_refused(bench: &Bench) -> Outcome {
    needs_adoption(bench).await?;
    let (job, _) = bench.job().await?;
    let handle = job.environment.handle();
    let stranger = Handle::new("another-executor", handle.value().clone());
    let senseless = Handle::new(handle.executor(), serde_json::Value::Null);
    let provider = bench.host.provider().await;
    let Some(adopter) = provider.adopter() else { return failed("the adopter is gone") };
    for (handle, name) in [(stranger, "another executor"), (senseless, "nothing")] {
        bench.doing_now(format!("adopting by a handle of {name}"));
        match adopter.adopt(&handle, &job.context).await {
            Err(_) | Ok(Adoption::NotOurs) => {}
            Ok(other) => return failed(format!("a handle of {name} gave {other:?}")),
        }
    }
    // A handle of one job is not one of another.
    let other = bench.context()?;
    bench.doing_now("adopting by a handle of another job");
    match adopter.adopt(&handle, &other).await {
        Err(_) | Ok(Adoption::NotOurs | Adoption::Gone(_)) => {}
        Ok(answer) => return failed(format!("the handle of another job gave {answer:?}")),
    }
    job.run(&stage(1), "echo still here\n").await?.expect("still here\n")?;
    job.finish().await
}

pub(super) async fn orphans_are_found_and_removed(bench: &Bench) -> Outcome {
    let provider = bench.host.provider().await;
    if provider.janitor().is_none() {
        return not_applicable("there is no janitor");
    }
    let (job, _) = bench.job().await?;
    let Some(live) = bench.try_unprepared(&provider).await? else { return super::one_job_only() };
    live.prepare().await?;
    let key = stage(1);
    let mut reading = job.begin(&key, super::super::bench::WAIT).await?;
    reading.until("ready\n").await?;
    drop(reading);
    let (context, _) = job.detach();

    let next = bench.host.provider().await;
    let Some(janitor) = next.janitor() else { return failed("the janitor is gone") };
    bench.doing_now("looking for orphans");
    let orphans = janitor.scan(std::slice::from_ref(&live.context.key)).await.during("scan")?;
    let mine: Vec<_> = orphans.iter().filter(|orphan| orphan.job.as_ref() == Some(&context.key)).collect();
    ensure!(!mine.is_empty(), "the orphan was not found; found was {orphans:?}");
    let wrong = orphans.iter().any(|orphan| orphan.job.as_ref() == Some(&live.context.key));
    ensure!(!wrong, "a live job was taken for an orphan");
    for orphan in &mine {
        bench.doing_now("removing an orphan");
        janitor.reap(orphan).await.during("reap")?;
        janitor.reap(orphan).await.during("reap of what is gone")?;
    }
    let again = janitor.scan(std::slice::from_ref(&live.context.key)).await.during("scan")?;
    let still = again.iter().any(|orphan| orphan.job.as_ref() == Some(&context.key));
    ensure!(!still, "the orphan is found again after it was removed");
    live.run(&key, "echo alive\n").await?.expect("alive\n")?;
    live.finish().await
}

/// A handle after a journey through a journal.
pub(super) fn journaled(handle: &Handle) -> Outcome<Handle> {
    let text = serde_json::to_string(handle).or_else(|error| failed(format!("the handle: {error}")))?;
    ensure!(text.len() <= 4096, "the handle has {} bytes; it is journaled with every step", text.len());
    let back: Handle = serde_json::from_str(&text).or_else(|error| failed(format!("the handle: {error}")))?;
    ensure!(&back == handle, "the handle differs after a journey through JSON: {back:?} from {handle:?}");
    Ok(back)
}

async fn needs_adoption(bench: &Bench) -> Outcome {
    let provider = bench.host.provider().await;
    if provider.info().capabilities.adoption && provider.adopter().is_some() {
        return Ok(());
    }
    not_applicable("jobs do not outlive the manager")
}

/// The environment of a job as the next manager gets it.
async fn adopt<'a>(
    bench: &'a Bench,
    handle: &Handle,
    context: JobContext,
    marker: SecretVariable,
) -> Outcome<TestJob<'a>> {
    let provider: Arc<dyn Provider> = bench.host.provider().await;
    bench.doing_now("adopting a job");
    let adoption = match provider.adopter() {
        Some(adopter) => adopter.adopt(handle, &context).await.during("adopt")?,
        None => return failed("the next manager's provider has no adopter"),
    };
    match adoption {
        Adoption::Live(environment) => Ok(bench.adopted(provider, environment, context, marker)),
        other => failed(format!("a job that is there gave {other:?}")),
    }
}

async fn gone(bench: &Bench, handle: &Handle, context: &JobContext, what: &str) -> Outcome {
    let provider = bench.host.provider().await;
    bench.doing_now(format!("adopting {what}"));
    let Some(adopter) = provider.adopter() else { return failed("the adopter is gone") };
    match adopter.adopt(handle, context).await.during("adopt")? {
        Adoption::Gone(_) => Ok(()),
        other => failed(format!("{what} gave {other:?}")),
    }
}
