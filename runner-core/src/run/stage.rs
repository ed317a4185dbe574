//! One stage: start it, follow its output into the log, stop it when its time is over.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::{Instant, sleep, sleep_until};

use super::JobControl;
use crate::executor::{
    Environment, EnvironmentError, FollowEvent, OutputFrame, StageEnd, StageInput, StageKey, StageStatus,
    Stop,
};
use crate::journal::CancelState;
use crate::log::{JobLog, LogError};

/// Pause before the first repeated call; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long an environment may fail to say anything definite before its stage counts as lost.
const PATIENCE: Duration = Duration::from_secs(120);
/// What an environment gets beyond the grace to see a stage end, before and after it is killed.
const MARGIN: Duration = Duration::from_secs(10);

/// Why the core ended a stage before it ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopReason {
    /// GitLab asked for it, gracefully.
    Canceled,
    /// The runner is being stopped.
    Interrupted,
    /// GitLab asked for it, at once.
    Aborted,
    /// The job's time is over.
    JobTimeout,
    /// The stage's own time is over.
    StageTimeout,
}

/// How a stage went.
#[derive(Debug)]
pub(super) enum StageOutcome {
    /// It ended by itself.
    Ended(StageEnd),
    /// The core ended it.
    Stopped(StopReason),
    /// Its place is gone or does not answer; how it ended is not known.
    Lost(EnvironmentError),
    /// It was not run: the job asks for something that does not exist.
    Refused(String),
}

/// What may end a stage early.
#[derive(Debug, Clone, Copy)]
pub(super) struct StageLimits {
    /// When the job has to be over.
    pub(super) job_deadline: Instant,
    /// When the stage has to be over, if it has a limit of its own.
    pub(super) stage_deadline: Option<Instant>,
    /// The weakest wish that ends it.
    pub(super) least: CancelState,
    /// Time between asking its processes to end and killing them.
    pub(super) grace: Duration,
}

/// Runs one try of a stage to its end, however it comes.
///
/// # Errors
/// When the log cannot be written: the job cannot go on then.
pub(super) async fn run_stage(
    environment: &dyn Environment,
    log: &JobLog,
    control: &JobControl,
    key: &StageKey,
    input: StageInput,
    limits: StageLimits,
) -> Result<StageOutcome, LogError> {
    let started = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(reason) = due(control, limits) {
            return Ok(StageOutcome::Stopped(reason));
        }
        let Err(error) = environment.start(key, input.clone()).await else { break };
        tracing::debug!(stage = %key, %error, "starting a stage failed");
        match environment.status(key).await {
            Ok(StageStatus::Running | StageStatus::Ended(_)) => break,
            Ok(StageStatus::Lost(error)) => return Ok(StageOutcome::Lost(error)),
            Ok(StageStatus::NotStarted | StageStatus::Unknown) | Err(_) => {}
        }
        if !error.is_retriable() || started.elapsed() > PATIENCE {
            return Ok(StageOutcome::Lost(error));
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    follow_stage(environment, log, control, key, limits).await
}

/// Follows a stage that was started, by this process or an earlier one.
///
/// # Errors
/// As [`run_stage`].
pub(super) async fn follow_stage(
    environment: &dyn Environment,
    log: &JobLog,
    control: &JobControl,
    key: &StageKey,
    limits: StageLimits,
) -> Result<StageOutcome, LogError> {
    let mut ending = Ending { environment, control, key, limits, phase: Phase::Running };
    let mut pause = FIRST_PAUSE;
    let mut silent_since = Instant::now();
    let outcome = 'again: loop {
        let mut events = environment.follow(key, log.offset(key));
        let broken = loop {
            let event = tokio::select! {
                biased;
                gave_up = ending.step() => match gave_up {
                    Some(error) => break 'again StageOutcome::Lost(error),
                    None => continue,
                },
                event = events.next() => event,
            };
            match event {
                Some(FollowEvent::Frame(frame)) => {
                    pause = FIRST_PAUSE;
                    silent_since = Instant::now();
                    match append(log, key, frame, &mut ending).await {
                        // The environment left something out: it is asked again from where the log ends.
                        Err(error) if error.is_gap() => break None,
                        appended => appended?,
                    }
                }
                Some(FollowEvent::Ended(end)) => break 'again StageOutcome::Ended(end),
                Some(FollowEvent::Broken(error)) => break Some(error),
                None => break None,
            }
        };
        // An ended stream is not a result: only the status tells.
        match environment.status(key).await {
            Ok(StageStatus::Lost(error)) => break StageOutcome::Lost(error),
            Ok(StageStatus::NotStarted) => {
                let cause = crate::executor::Cause::System;
                break StageOutcome::Lost(EnvironmentError::new(
                    cause,
                    format!("the place does not know stage {key}"),
                ));
            }
            Ok(StageStatus::Running | StageStatus::Ended(_)) => {}
            Ok(StageStatus::Unknown) | Err(_) if silent_since.elapsed() > PATIENCE => {
                let error = broken.unwrap_or_else(|| {
                    EnvironmentError::new(
                        crate::executor::Cause::Outage,
                        format!("the place is silent about stage {key}"),
                    )
                });
                break StageOutcome::Lost(error);
            }
            Ok(StageStatus::Unknown) | Err(_) => {}
        }
        tokio::select! {
            () = sleep(pause) => {}
            gave_up = ending.step() => if let Some(error) = gave_up { break StageOutcome::Lost(error) },
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    };
    log.flush_stage(key).await?;
    Ok(match (outcome, ending.reason()) {
        // What the core asked for is what happened, whatever status the processes left with.
        (StageOutcome::Ended(_), Some(reason)) => StageOutcome::Stopped(reason),
        (outcome, _) => outcome,
    })
}

/// Appends a frame; while that waits for room, the stage can still be stopped.
async fn append(
    log: &JobLog,
    key: &StageKey,
    frame: OutputFrame,
    ending: &mut Ending<'_>,
) -> Result<(), LogError> {
    let appended = log.append(key, frame);
    tokio::pin!(appended);
    loop {
        tokio::select! {
            biased;
            result = &mut appended => return result,
            gave_up = ending.step() => if gave_up.is_some() {
                // The end of patience is found again by the caller, with nothing left to append.
                return appended.await;
            },
        }
    }
}

/// Waits until somebody wants the job to end, at least as firmly as `least`, or its time is over.
pub(super) async fn stop_reason(
    control: &JobControl,
    least: CancelState,
    job_deadline: Instant,
) -> StopReason {
    let limits = StageLimits { job_deadline, stage_deadline: None, least, grace: Duration::ZERO };
    loop {
        if let Some(reason) = due(control, limits) {
            return reason;
        }
        tokio::select! {
            _ = control.requested(least) => {}
            () = sleep_until(job_deadline) => {}
        }
    }
}

/// The limit that is over or the wish that was uttered, if any.
fn due(control: &JobControl, limits: StageLimits) -> Option<StopReason> {
    let now = Instant::now();
    match control.state() {
        Some(CancelState::Abort) => return Some(StopReason::Aborted),
        Some(CancelState::Interrupted) if limits.least != CancelState::Abort => {
            return Some(StopReason::Interrupted);
        }
        Some(CancelState::Graceful) if limits.least == CancelState::Graceful => {
            return Some(StopReason::Canceled);
        }
        _ => {}
    }
    if now >= limits.job_deadline {
        return Some(StopReason::JobTimeout);
    }
    limits.stage_deadline.filter(|deadline| now >= *deadline).map(|_| StopReason::StageTimeout)
}

/// Ends a stage step by step: ask, kill, give up.
struct Ending<'a> {
    environment: &'a dyn Environment,
    control: &'a JobControl,
    key: &'a StageKey,
    limits: StageLimits,
    phase: Phase,
}

#[derive(Clone, Copy)]
enum Phase {
    Running,
    /// Asked to end; killed at the given time.
    Asked(StopReason, Instant),
    /// Killed; given up at the given time.
    Killed(StopReason, Instant),
}

impl Ending<'_> {
    fn reason(&self) -> Option<StopReason> {
        match self.phase {
            Phase::Running => None,
            Phase::Asked(reason, _) | Phase::Killed(reason, _) => Some(reason),
        }
    }

    /// Waits for the next step and takes it. `Some`: nothing more can be done.
    ///
    /// Dropping it while it waits changes nothing; a request that was on its way is sent again.
    async fn step(&mut self) -> Option<EnvironmentError> {
        match self.phase {
            Phase::Running => {
                self.wait_for_a_reason().await;
                let reason = due(self.control, self.limits)?;
                let how = match reason {
                    StopReason::Aborted if self.limits.grace.is_zero() => Stop::Kill,
                    _ => Stop::Terminate { grace: self.limits.grace },
                };
                self.ask(how).await;
                self.phase = Phase::Asked(reason, Instant::now() + self.limits.grace + MARGIN);
                None
            }
            Phase::Asked(reason, at) => {
                sleep_until(at).await;
                self.ask(Stop::Kill).await;
                self.phase = Phase::Killed(reason, Instant::now() + MARGIN);
                None
            }
            Phase::Killed(_, at) => {
                sleep_until(at).await;
                let text = format!("stage {} did not end although it was killed", self.key);
                Some(EnvironmentError::new(crate::executor::Cause::System, text))
            }
        }
    }

    async fn wait_for_a_reason(&self) {
        let first = self
            .limits
            .stage_deadline
            .map_or(self.limits.job_deadline, |at| at.min(self.limits.job_deadline));
        tokio::select! {
            _ = self.control.requested(self.limits.least) => {}
            () = sleep_until(first) => {}
        }
    }

    async fn ask(&self, how: Stop) {
        if let Err(error) = self.environment.stop(self.key, how).await {
            // Asked again with the next, firmer step.
            tracing::warn!(stage = %self.key, %error, "the request to stop a stage may not have arrived");
        }
    }
}
