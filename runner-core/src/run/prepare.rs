//! Preparing a place, with several tries.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::JobControl;
use super::report::{Failure, Timeouts};
use super::stage::{StopReason, stop_reason};
use super::words::Words;
use crate::executor::{CleanupReason, Environment, EnvironmentError, Notices, Place, PrepareRequest};
use crate::journal::CancelState;
use crate::log::LogError;

const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(3);
/// How long the remains of a failed try may take to go.
const CLEANUP: Duration = Duration::from_secs(60);
/// How long preparing may go on after it was told to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// Prepares the environment; several times when an error may pass.
///
/// # Errors
/// The outer error is the log's, the inner one is why there is no place.
pub(super) async fn prepare(
    environment: &dyn Environment,
    words: &Words,
    control: &JobControl,
    deadline: Instant,
    timeouts: Timeouts,
) -> Result<Result<Place, Failure>, LogError> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let error = match once(environment, words, control, deadline, attempt).await? {
            Ok(place) => return Ok(Ok(place)),
            Err(Refused::Stopped(reason)) => return Ok(Err(Failure::stopped(reason, timeouts))),
            Err(Refused::Failed(error)) => error,
        };
        if attempt >= TRIES || !error.is_retriable() {
            return Ok(Err(Failure::of_environment(&error)));
        }
        words.error(&format!("Preparation failed: {error}")).await?;
        words.plain(&format!("Will be retried in {}s ...", PAUSE.as_secs())).await?;
        if let Err(error) = environment.cleanup(CleanupReason::PrepareFailed, CLEANUP).await {
            tracing::warn!(%error, "cleaning up after a failed preparation failed");
        }
        tokio::select! {
            () = sleep(PAUSE) => {}
            reason = stop_reason(control, CancelState::Graceful, deadline) => {
                return Ok(Err(Failure::stopped(reason, timeouts)));
            }
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
    deadline: Instant,
    attempt: u32,
) -> Result<Result<Place, Refused>, LogError> {
    let cancel = CancellationToken::new();
    let (notices, mut lines) = Notices::channel();
    let prepared = environment.prepare(PrepareRequest::new(attempt), notices, cancel.clone());
    tokio::pin!(prepared);
    let mut talking = true;
    let result = loop {
        tokio::select! {
            biased;
            line = lines.recv(), if talking => match line {
                Some(line) => words.notice(&line).await?,
                None => talking = false,
            },
            result = &mut prepared => break result.map_err(Refused::Failed),
            reason = stop_reason(control, CancelState::Graceful, deadline) => {
                cancel.cancel();
                // What it was doing is cleaned up by the caller, whether or not it listens.
                let _ = timeout_at(Instant::now() + PATIENCE, &mut prepared).await;
                break Err(Refused::Stopped(reason));
            }
        }
    };
    while let Ok(line) = lines.try_recv() {
        words.notice(&line).await?;
    }
    Ok(result)
}
