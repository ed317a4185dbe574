//! Why a job request gave no job.

use std::time::Duration;

use http::StatusCode;

use crate::error::Error;

/// What an error of a [job request](crate::Client::request_job) means to a runner that polls.
///
/// ```
/// use runner_api::{BaseUrl, JobRefusal};
///
/// let error = BaseUrl::parse("ftp://gitlab.example.com").unwrap_err();
/// let refusal = JobRefusal::of(&error);
/// assert_eq!(refusal, JobRefusal::Configuration);
/// assert!(!refusal.may_pass());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobRefusal {
    /// The token is unknown or has expired (403).
    Forbidden,
    /// Address or certificates can never work.
    Configuration,
    /// Another runner was quicker with the job (409): ask again.
    Conflict,
    /// The runner belongs to nobody any more (422): its owner was deleted.
    Orphaned,
    /// Too many requests (429).
    RateLimited {
        /// How long the server asks to wait, if it says so.
        retry_after: Option<Duration>,
    },
    /// The instance is down for a while (503).
    Unavailable {
        /// How long the server asks to wait, if it says so.
        retry_after: Option<Duration>,
    },
    /// The instance was not reached, or the connection broke, or no answer came in time.
    Unreachable,
    /// Any other answer.
    Other,
}

impl JobRefusal {
    /// Sorts an error.
    ///
    /// ```
    /// use runner_api::{ClientBuilder, JobRefusal};
    ///
    /// let error = ClientBuilder::new("gitlab.example.com").unwrap_err();
    /// assert_eq!(JobRefusal::of(&error), JobRefusal::Configuration);
    /// ```
    #[must_use]
    pub fn of(error: &Error) -> Self {
        if error.is_configuration() {
            return Self::Configuration;
        }
        if error.is_transport() {
            return Self::Unreachable;
        }
        let retry_after = error.retry_after();
        match error.status() {
            Some(StatusCode::FORBIDDEN) => Self::Forbidden,
            Some(StatusCode::CONFLICT) => Self::Conflict,
            Some(StatusCode::UNPROCESSABLE_ENTITY) => Self::Orphaned,
            Some(StatusCode::TOO_MANY_REQUESTS) => Self::RateLimited { retry_after },
            Some(StatusCode::SERVICE_UNAVAILABLE) => Self::Unavailable { retry_after },
            _ => Self::Other,
        }
    }

    /// Whether asking again in the normal rhythm is right. What may not pass counts against the runner's health: a runner
    /// that is refused should pause for long.
    ///
    /// ```
    /// use runner_api::JobRefusal;
    ///
    /// assert!(!JobRefusal::Forbidden.may_pass());
    /// assert!(JobRefusal::Unreachable.may_pass());
    /// ```
    #[must_use]
    pub fn may_pass(self) -> bool {
        !matches!(self, Self::Forbidden | Self::Configuration)
    }
}
