//! A place to count and time calls from outside.

use std::time::Duration;

use http::{Method, StatusCode};

use crate::endpoint::Endpoint;
use crate::error::Error;

/// Told about every call that ended, for metrics and adaptive request rates. Called on the task of the call: it must
/// not block.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use runner_api::{CallReport, Observer};
///
/// #[derive(Debug, Default)]
/// struct Tries(AtomicU32);
///
/// impl Observer for Tries {
///     fn call_ended(&self, report: &CallReport<'_>) {
///         self.0.fetch_add(report.tries, Ordering::Relaxed);
///     }
/// }
/// ```
pub trait Observer: Send + Sync + std::fmt::Debug {
    /// One call ended: with an answer, or without. Calls whose future was dropped are not reported. A download in parts is
    /// several calls.
    ///
    /// ```
    /// use runner_api::{CallReport, Observer};
    ///
    /// #[derive(Debug)]
    /// struct Failures;
    ///
    /// impl Observer for Failures {
    ///     fn call_ended(&self, report: &CallReport<'_>) {
    ///         if let Some(error) = report.error {
    ///             eprintln!("{}: {error}", report.request_id);
    ///         }
    ///     }
    /// }
    /// ```
    fn call_ended(&self, report: &CallReport<'_>);
}

/// What an [`Observer`] learns about a call.
///
/// ```
/// fn log(report: &runner_api::CallReport<'_>) -> String {
///     let at_work = report.duration - report.waited - report.held_back;
///     format!("{} took {at_work:?} in {} tries", report.endpoint, report.tries)
/// }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CallReport<'a> {
    /// Which call it was.
    pub endpoint: Endpoint,
    /// Its HTTP method.
    pub method: Method,
    /// The path of its address with `{id}` for numbers, such as `/api/v4/jobs/{id}/trace`: one of a few values, for a
    /// metric's label. Empty when the address is that of an object storage.
    pub path: &'a str,
    /// The status of the last answer; `None` when there was no answer.
    pub status: Option<StatusCode>,
    /// Why there was no answer.
    pub error: Option<&'a Error>,
    /// From the call's beginning to the head of the last answer, waits included.
    pub duration: Duration,
    /// How many requests were sent, redirects aside.
    pub tries: u32,
    /// How much of `duration` was spent between two tries, because the server or the backoff wanted it.
    pub waited: Duration,
    /// How much of `duration` was spent waiting for the client's own [`RequestRate`](crate::RequestRate).
    pub held_back: Duration,
    /// Whether any answer had a status that asks to come back later ([`crate::retry::is_retryable_status`]).
    pub pushed_back: bool,
    /// The id under which the server's logs know the call.
    pub request_id: &'a str,
}

/// Watches nothing.
#[derive(Debug)]
pub(crate) struct NoObserver;

impl Observer for NoObserver {
    fn call_ended(&self, _report: &CallReport<'_>) {}
}
