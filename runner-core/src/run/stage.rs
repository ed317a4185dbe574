//! One stage: start it, follow its output into the log, stop it when its time is over.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::{Instant, sleep, timeout};

use super::JobControl;
use super::ending::Ending;
use super::limits::{Limits, StopReason};
use crate::executor::{
    Cause, Environment, EnvironmentError, FollowEvent, StageEnd, StageInput, StageKey, StageStatus,
};
use crate::log::{JobLog, LineKind, LogError};
use crate::observe::StageResult;

/// Pause before the first repeated call; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long an environment may fail to say anything definite before its stage counts as lost.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long it may take to answer once.
const ANSWER: Duration = Duration::from_secs(30);

/// How a stage went.
#[derive(Debug)]
pub(super) enum StageOutcome {
    /// It ended by itself.
    Ended(StageEnd),
    /// The core ended it.
    Stopped(StopReason),
    /// The core tried to end it, for this reason, and it goes on all the same.
    Stuck(StopReason),
    /// Its place is gone or does not answer; how it ended is not known.
    Lost(EnvironmentError),
    /// It was not run: the job asks for something that does not exist.
    Refused(String),
}

impl StageOutcome {
    /// For observers.
    pub(super) fn result(&self) -> StageResult {
        match self {
            Self::Ended(end) => StageResult::Ended(*end),
            Self::Stopped(reason) => reason.result(),
            Self::Stuck(_) => StageResult::Stuck,
            Self::Lost(error) => StageResult::Lost(error.to_string()),
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
    pub(super) key: &'a StageKey,
    pub(super) limits: Limits,
    /// Time between asking its processes to end and killing them.
    pub(super) grace: Duration,
}

impl StageRun<'_> {
    /// Runs one try of the stage to its end, however it comes.
    ///
    /// # Errors
    /// When the log cannot be written: the job cannot go on then.
    pub(super) async fn run(self, input: StageInput) -> Result<StageOutcome, LogError> {
        if let Some(reason) = self.limits.due(self.control) {
            return Ok(StageOutcome::Stopped(reason));
        }
        self.attend(Some(input)).await
    }

    /// Follows a stage that an earlier process started.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub(super) async fn resume(self) -> Result<StageOutcome, LogError> {
        self.attend(None).await
    }

    async fn attend(self, input: Option<StageInput>) -> Result<StageOutcome, LogError> {
        let ending = Ending::new(self.environment, self.control, self.key, self.limits, self.grace);
        let watch = Watch { environment: self.environment, log: self.log, key: self.key, ending: &ending };
        let outcome = tokio::select! {
            biased;
            reason = ending.run() => StageOutcome::Stuck(reason),
            outcome = watch.stage(input) => outcome?,
        };
        self.log.flush_stage(self.key).await?;
        Ok(match (outcome, ending.reason()) {
            // What the core asked for is what happened, whatever status the processes left with.
            (StageOutcome::Ended(_), Some(reason)) => StageOutcome::Stopped(reason),
            (outcome, _) => outcome,
        })
    }
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
                Some(StageStatus::Lost(error)) => return Some(StageOutcome::Lost(error)),
                Some(StageStatus::NotStarted) if self.ending.reason().is_some() => {
                    return self.ending.reason().map(StageOutcome::Stopped);
                }
                _ => {}
            }
            if let Some(error) = last.take_if(|error| !error.is_retriable() || begun.elapsed() > PATIENCE) {
                return Some(StageOutcome::Lost(error));
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
                Some(StageStatus::Lost(error)) => return Ok(StageOutcome::Lost(error)),
                Some(StageStatus::NotStarted) => {
                    return Ok(self.ending.reason().map_or_else(
                        || StageOutcome::Lost(self.trouble(Cause::System, "the place does not know")),
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
                    return Ok(StageOutcome::Lost(error.unwrap_or_else(silent)));
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

    /// `None`: no answer.
    async fn status(&self) -> Option<StageStatus> {
        match timeout(ANSWER, self.environment.status(self.key)).await {
            Ok(Ok(status)) => Some(status),
            Ok(Err(error)) => {
                tracing::debug!(stage = %self.key, %error, "the status of a stage cannot be told");
                None
            }
            Err(_) => None,
        }
    }

    async fn tell_missing_output(&self, error: Option<&EnvironmentError>) -> Result<(), LogError> {
        let why = error.map(|error| format!(": {error}")).unwrap_or_default();
        let text = format!("the end of {}'s output is missing{why}", self.key);
        self.log.line(LineKind::Warning, text).await
    }

    fn trouble(&self, cause: Cause, what: &str) -> EnvironmentError {
        EnvironmentError::new(cause, format!("{what} stage {}", self.key))
    }
}
