//! One stage: start it, follow its output into the log, stop it when its time is over.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::{Instant, sleep, timeout};

use super::JobControl;
use super::ending::Ending;
use super::limits::{Limits, TimeLimit, after};
use super::record::{Begun, Record};
use crate::executor::{
    Cause, Environment, EnvironmentError, FollowEvent, StageEnd, StageInput, StageKey, StageStatus,
};
use crate::journal::{CancelState, Failure, StageOutcome, StopReason};
use crate::log::{Entry, JobLog, LineKind, LogError};
use crate::observe::StageResult;

/// Pause before the first repeated call; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long an environment may fail to say anything definite before its stage counts as lost.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long it may take to answer once.
const ANSWER: Duration = Duration::from_secs(30);

/// How long the rest of a stage's output may take to be read that had ended before this process came.
const READING: Duration = Duration::from_secs(600);

impl StageOutcome {
    /// For observers.
    pub(super) fn result(&self) -> StageResult {
        match self {
            Self::Ended(end) => StageResult::Ended(*end),
            Self::Stopped(reason) => reason.result(),
            Self::Stuck(_) => StageResult::Stuck,
            Self::Lost(failure) => StageResult::Lost(failure.text.clone()),
            Self::Refused(text) => StageResult::Refused(text.clone()),
        }
    }
}

/// A stage in its place, with the log that its output goes to.
#[derive(Clone, Copy)]
pub(super) struct StageRun<'a> {
    pub(super) environment: &'a dyn Environment,
    pub(super) log: &'a JobLog,
    pub(super) control: &'a JobControl,
    pub(super) record: &'a Record,
    pub(super) key: &'a StageKey,
    pub(super) limits: Limits,
    /// Time between asking its processes to end and killing them.
    pub(super) grace: Duration,
}

impl StageRun<'_> {
    /// Runs one try of the stage to its end, however it comes. One that an earlier process began is taken up where it is: starting it
    /// again changes nothing.
    ///
    /// # Errors
    /// When the log cannot be written: the job cannot go on then.
    pub(super) async fn run(self, input: StageInput, begun: Begun) -> Result<StageOutcome, LogError> {
        match begun {
            Begun::Now => match self.limits.due(self.control) {
                Some(reason) => Ok(StageOutcome::Stopped(reason)),
                None => self.attend(Some(input), None).await,
            },
            Begun::Earlier(None) if self.has_ended().await => {
                // By itself, whatever limits have passed since.
                let end = self.limits.job.end.max(after(READING));
                let job = TimeLimit { end, ..self.limits.job };
                let limits = Limits { job, stage: None, least: CancelState::InterruptedAtOnce };
                Self { limits, ..self }.attend(None, None).await
            }
            Begun::Earlier(stopping) => self.attend(Some(input), stopping).await,
        }
    }

    /// Follows a stage that an earlier process started.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub(super) async fn resume(self) -> Result<StageOutcome, LogError> {
        self.attend(None, None).await
    }

    async fn has_ended(&self) -> bool {
        matches!(status(self.environment, self.key).await, Some(StageStatus::Ended(_)))
    }

    async fn attend(
        self,
        input: Option<StageInput>,
        stopping: Option<StopReason>,
    ) -> Result<StageOutcome, LogError> {
        let Self { environment, log, control, record, key, limits, grace } = self;
        let ending = Ending::new(environment, control, record, key, limits, grace);
        let watch = Watch { environment, log, key, ending: &ending };
        let outcome = tokio::select! {
            biased;
            reason = ending.run(stopping) => StageOutcome::Stuck(reason),
            outcome = watch.stage(input) => outcome?,
        };
        log.flush_stage(key).await?;
        Ok(match (outcome, ending.reason()) {
            // What the core asked for is what happened, whatever status the processes left with.
            (StageOutcome::Ended(_), Some(reason)) => StageOutcome::Stopped(reason),
            (outcome, _) => outcome,
        })
    }
}

/// `None`: no answer.
async fn status(environment: &dyn Environment, key: &StageKey) -> Option<StageStatus> {
    match timeout(ANSWER, environment.status(key)).await {
        Ok(Ok(status)) => Some(status),
        Ok(Err(error)) => {
            tracing::debug!(stage = %key, %error, "the status of a stage cannot be told");
            None
        }
        Err(_) => None,
    }
}

fn lost(error: &EnvironmentError) -> StageOutcome {
    StageOutcome::Lost(Failure::of_environment(error))
}

/// Starts and follows; [`Ending`] does its work beside it.
struct Watch<'a> {
    environment: &'a dyn Environment,
    log: &'a JobLog,
    key: &'a StageKey,
    ending: &'a Ending<'a>,
}

/// How a stream ended.
enum Stream {
    /// With the stage.
    Ended(StageEnd),
    /// Too early. Says whether anything came before, and what went wrong if that is known.
    Broken(bool, Option<EnvironmentError>),
}

impl Watch<'_> {
    async fn stage(&self, input: Option<StageInput>) -> Result<StageOutcome, LogError> {
        if let Some(input) = input {
            if let Some(outcome) = self.start(input).await {
                return Ok(outcome);
            }
            if self.ending.reason().is_some() {
                // It may have begun after the request to end.
                self.ending.terminate().await;
            }
        }
        self.follow().await
    }

    /// `None`: the stage has begun.
    async fn start(&self, input: StageInput) -> Option<StageOutcome> {
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut last = None;
        loop {
            if self.ending.reason().is_none() {
                tokio::select! {
                    biased;
                    started = self.environment.start(self.key, input.clone()) => match started {
                        Ok(_) => return None,
                        Err(error) => {
                            tracing::debug!(stage = %self.key, %error, "starting a stage failed");
                            last = Some(error);
                        }
                    },
                    // Whether the call took effect is asked below.
                    _ = self.ending.begun() => {}
                }
            }
            match self.status().await {
                Some(StageStatus::Running | StageStatus::Ended(_)) => return None,
                Some(StageStatus::Lost(error)) => return Some(lost(&error)),
                Some(StageStatus::NotStarted) if self.ending.reason().is_some() => {
                    return self.ending.reason().map(StageOutcome::Stopped);
                }
                _ => {}
            }
            if let Some(error) = last.take_if(|error| !error.is_retriable() || begun.elapsed() > PATIENCE) {
                return Some(lost(&error));
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn follow(&self) -> Result<StageOutcome, LogError> {
        let mut pause = FIRST_PAUSE;
        // Since when nothing definite is known.
        let mut unsure: Option<Instant> = None;
        loop {
            let (progress, error) = match self.read().await? {
                Stream::Ended(end) => return Ok(StageOutcome::Ended(end)),
                Stream::Broken(progress, error) => (progress, error),
            };
            if progress {
                pause = FIRST_PAUSE;
                unsure = None;
            }
            let out_of_patience = unsure.get_or_insert_with(Instant::now).elapsed() > PATIENCE;
            // An ended stream is not a result: only the status tells.
            match self.status().await {
                Some(StageStatus::Lost(error)) => return Ok(lost(&error)),
                Some(StageStatus::NotStarted) => {
                    return Ok(self.ending.reason().map_or_else(
                        || lost(&self.trouble(Cause::System, "the place does not know")),
                        StageOutcome::Stopped,
                    ));
                }
                Some(StageStatus::Running) => unsure = None,
                Some(StageStatus::Ended(end)) if out_of_patience => {
                    self.tell_missing_output(error.as_ref()).await?;
                    return Ok(StageOutcome::Ended(end));
                }
                Some(StageStatus::Unknown) | None if out_of_patience => {
                    let silent = || self.trouble(Cause::Outage, "the place is silent about");
                    return Ok(lost(&error.unwrap_or_else(silent)));
                }
                Some(StageStatus::Ended(_) | StageStatus::Unknown) | None => {}
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Takes output from where the log ends until the stream ends.
    async fn read(&self) -> Result<Stream, LogError> {
        let mut events = self.environment.follow(self.key, self.log.offset(self.key));
        let mut progress = false;
        loop {
            match events.next().await {
                Some(FollowEvent::Frame(frame)) => match self.log.append(self.key, frame).await {
                    // The environment left something out: it is asked again from where the log ends.
                    Err(error) if error.is_gap() => return Ok(Stream::Broken(progress, None)),
                    appended => {
                        appended?;
                        progress = true;
                    }
                },
                Some(FollowEvent::Ended(end)) => return Ok(Stream::Ended(end)),
                Some(FollowEvent::Broken(error)) => {
                    tracing::debug!(stage = %self.key, %error, "following a stage broke off");
                    return Ok(Stream::Broken(progress, Some(error)));
                }
                None => return Ok(Stream::Broken(progress, None)),
            }
        }
    }

    async fn status(&self) -> Option<StageStatus> {
        status(self.environment, self.key).await
    }

    async fn tell_missing_output(&self, error: Option<&EnvironmentError>) -> Result<(), LogError> {
        let why = error.map(|error| format!(": {error}")).unwrap_or_default();
        let text = format!("the end of {}'s output is missing{why}", self.key);
        // Whoever goes on after a restart may find the same.
        let name = format!("{} output missing", self.key.slug());
        self.log.once(&name, vec![Entry::Line(LineKind::Warning, text)]).await
    }

    fn trouble(&self, cause: Cause, what: &str) -> EnvironmentError {
        EnvironmentError::new(cause, format!("{what} stage {}", self.key))
    }
}
