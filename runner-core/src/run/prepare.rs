//! Preparing a place, with several tries.

use std::time::Duration;

use tokio::time::{sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::JobControl;
use super::cleanup::clean_up;
use super::limits::{Limits, after};
use super::words::Words;
use crate::executor::{CleanupReason, Environment, EnvironmentError, JobKey, Notices, Place, PrepareRequest};
use crate::journal::{Failure, StopReason};
use crate::log::LogError;

const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(3);
/// How long preparing may go on after it was told to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no place.
pub(super) enum NoPlace {
    /// Nobody wants it any more, or it took too long.
    Stopped(StopReason),
    /// It cannot be made.
    Failed(Failure),
}

/// Prepares the environment; several times when an error may pass. The caller cleans up.
///
/// # Errors
/// The outer error is the log's, the inner one is why there is no place.
pub(super) async fn prepare(
    environment: &dyn Environment,
    key: &JobKey,
    words: &Words,
    control: &JobControl,
    limits: Limits,
) -> Result<Result<Place, NoPlace>, LogError> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let error = match once(environment, words, control, limits, attempt).await? {
            Ok(place) => return Ok(Ok(place)),
            Err(Refused::Stopped(reason)) => return Ok(Err(NoPlace::Stopped(reason))),
            Err(Refused::Failed(error)) => error,
        };
        if attempt >= TRIES || !error.is_retriable() {
            return Ok(Err(NoPlace::Failed(Failure::of_environment(&error))));
        }
        words.error(&format!("Preparation failed: {error}")).await?;
        words.plain(&format!("Will be retried in {}s ...", PAUSE.as_secs())).await?;
        clean_up(environment, key, CleanupReason::PrepareFailed).await;
        tokio::select! {
            biased;
            reason = limits.reached(control) => return Ok(Err(NoPlace::Stopped(reason))),
            () = sleep(PAUSE) => {}
        }
    }
}

enum Refused {
    Stopped(StopReason),
    Failed(EnvironmentError),
}

async fn once(
    environment: &dyn Environment,
    words: &Words,
    control: &JobControl,
    limits: Limits,
    attempt: u32,
) -> Result<Result<Place, Refused>, LogError> {
    let cancel = CancellationToken::new();
    let (notices, mut lines) = Notices::channel();
    let prepared = environment.prepare(PrepareRequest::new(attempt), notices, cancel.clone());
    tokio::pin!(prepared);
    let mut talking = true;
    // Why it was told to stop, and until when it may take to do so. Its lines are read on: it may wait for that.
    let mut stopping = None;
    let result = loop {
        let out_of_patience = async {
            match stopping {
                Some((reason, end)) => {
                    sleep_until(end).await;
                    reason
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            line = lines.recv(), if talking => match line {
                Some(line) => words.notice(&line).await?,
                None => talking = false,
            },
            result = &mut prepared => break match stopping {
                Some((reason, _)) => Err(Refused::Stopped(reason)),
                None => result.map_err(Refused::Failed),
            },
            reason = limits.reached(control), if stopping.is_none() => {
                cancel.cancel();
                stopping = Some((reason, after(PATIENCE)));
            }
            reason = out_of_patience => break Err(Refused::Stopped(reason)),
        }
    };
    while let Ok(line) = lines.try_recv() {
        words.notice(&line).await?;
    }
    Ok(result)
}
