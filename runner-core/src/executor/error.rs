//! Why a place failed, in words that an operator can act on.

use std::error::Error;
use std::fmt;

use runner_api::FailureReason;

/// What kind of trouble it was. Decides GitLab's failure reason and whether another try makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The runner's or the job's configuration cannot work here.
    Configuration,
    /// The image could not be pulled.
    ImagePull,
    /// A registry or another outside service did not answer properly.
    Dependency,
    /// The place waits for room and did not get it in time.
    Pending,
    /// A quota forbids it.
    Quota,
    /// The place ran out of memory.
    OutOfMemory,
    /// The place was evicted.
    Evicted,
    /// The machine below the place is gone.
    NodeLost,
    /// The system that provides the place does not answer.
    Outage,
    /// A file, process or device of this machine failed us: disk full, no such program, permission denied.
    System,
    /// The call was canceled.
    Canceled,
}

/// An error of a provider or environment: what was tried, on what, what was seen and what to do.
///
/// ```
/// use runner_core::executor::{Cause, EnvironmentError};
///
/// let error = EnvironmentError::new(Cause::System, "cannot make the builds folder /builds")
///     .evidence("permission denied (os error 13)")
///     .hint("give the runner's user write access, or set builds_dir");
/// assert_eq!(error.to_string(), "cannot make the builds folder /builds: permission denied (os error 13)");
/// assert!(error.is_retriable());
/// ```
#[derive(Debug)]
pub struct EnvironmentError {
    cause: Cause,
    message: String,
    evidence: Vec<String>,
    hint: Option<String>,
    retriable: bool,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl EnvironmentError {
    /// An error with a lower-case message that says what was tried on what. Retriable unless the cause is one that stays.
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        let retriable = !matches!(cause, Cause::Configuration | Cause::Canceled);
        Self { cause, message: message.into(), evidence: Vec::new(), hint: None, retriable, source: None }
    }

    /// Adds something that was seen: an event, a status, the text of an answer.
    #[must_use]
    pub fn evidence(mut self, text: impl Into<String>) -> Self {
        self.evidence.push(text.into());
        self
    }

    /// Adds what the reader can do about it.
    #[must_use]
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.hint = Some(text.into());
        self
    }

    /// Sets whether another try makes sense.
    #[must_use]
    pub fn retriable(mut self, yes: bool) -> Self {
        self.retriable = yes;
        self
    }

    /// Sets the error below; its text is added as evidence.
    #[must_use]
    pub fn source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.evidence.push(source.to_string());
        self.source = Some(Box::new(source));
        self
    }

    /// The kind of trouble.
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// What the reader can do, if something is known.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Whether another try makes sense.
    pub fn is_retriable(&self) -> bool {
        self.retriable
    }

    /// The failure reason for GitLab, before it is mapped to what the server knows.
    pub fn failure_reason(&self) -> FailureReason {
        match self.cause {
            Cause::Configuration => FailureReason::RunnerConfigurationError,
            Cause::ImagePull => FailureReason::ImagePullFailure,
            Cause::Dependency => FailureReason::RunnerExternalDependencyFailure,
            Cause::Pending
            | Cause::Quota
            | Cause::OutOfMemory
            | Cause::Evicted
            | Cause::NodeLost
            | Cause::Outage
            | Cause::System => FailureReason::RunnerSystemFailure,
            Cause::Canceled => FailureReason::JobCanceled,
        }
    }
}

impl fmt::Display for EnvironmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for (index, text) in self.evidence.iter().enumerate() {
            f.write_str(if index == 0 { ": " } else { "; " })?;
            f.write_str(text)?;
        }
        Ok(())
    }
}

impl Error for EnvironmentError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| -> &(dyn Error + 'static) { source.as_ref() })
    }
}
