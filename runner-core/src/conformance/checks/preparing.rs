//! Making the place.

use tokio_util::sync::CancellationToken;

use super::super::bench::{Bench, Outcome, ensure, failed, not_applicable, stage};
use super::dropping::poll_times;
use crate::executor::Cause;

pub(super) async fn a_failure_to_prepare_says_why(bench: &Bench) -> Outcome {
    let Some(provider) = bench.host.failing_provider().await else {
        return not_applicable("the host offers no provider that fails");
    };
    let job = bench.unprepared(&provider).await?;
    bench.doing_now("preparing what cannot be prepared");
    let Err(error) = job.try_prepare(CancellationToken::new()).await else {
        return failed("a place that cannot be made was prepared");
    };
    ensure!(error.cause() != Cause::Canceled, "nobody canceled, but the error says so: {error}");
    let text = error.to_string();
    let begins_small = text.chars().next().is_some_and(|first| !first.is_uppercase());
    ensure!(begins_small, "the error should say in lower case what was tried: {text:?}");
    job.finish().await
}

pub(super) async fn a_canceled_preparation_says_so(bench: &Bench) -> Outcome {
    let provider = bench.host.provider().await;
    let job = bench.unprepared(&provider).await?;
    let cancel = CancellationToken::new();
    cancel.cancel();
    bench.doing_now("preparing although it was canceled");
    match job.try_prepare(cancel).await {
        Err(error) if error.cause() == Cause::Canceled => {}
        Err(error) => return failed(format!("canceled, but the error is {:?}: {error}", error.cause())),
        Ok(_) => return failed("canceled before it began, but the place was prepared"),
    }
    job.finish().await
}

pub(super) async fn preparing_can_be_canceled_at_any_time(bench: &Bench) -> Outcome {
    let provider = bench.host.provider().await;
    for polls in 0.. {
        let job = bench.unprepared(&provider).await?;
        let cancel = CancellationToken::new();
        let mut prepare = Box::pin(job.try_prepare(cancel.clone()));
        bench.doing_now(format!("canceling a preparation after {polls} steps"));
        let done = match poll_times(prepare.as_mut(), polls).await {
            Some(result) => {
                drop(result.or_else(|error| failed(format!("prepare failed: {error}")))?);
                true
            }
            None => {
                cancel.cancel();
                match prepare.as_mut().await {
                    Err(error) if error.cause() != Cause::Canceled => {
                        return failed(format!("canceled, but the error is {:?}: {error}", error.cause()));
                    }
                    // It may have been too late.
                    Ok(_) | Err(_) => false,
                }
            }
        };
        drop(prepare);
        let left = job.clean().await?;
        ensure!(left.is_empty(), "canceled after {polls} steps, cleanup left {left:?}");
        // The same job again, as after a cancel that came by mistake: nothing is in its way.
        job.prepare().await?;
        job.run(&stage(1), "echo text\n").await?.expect("text\n")?;
        job.finish().await?;
        if done {
            break;
        }
    }
    Ok(())
}
