//! A place to count and time calls from outside.

use std::time::Duration;

use http::{Method, StatusCode};

use crate::endpoint::Endpoint;

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
    /// One call ended: with an answer, or without. Calls whose future was dropped are not reported.
    fn call_ended(&self, report: &CallReport<'_>);
}

/// What an [`Observer`] learns about a call.
///
/// ```
/// fn log(report: &runner_api::CallReport<'_>) -> String {
///     format!("{} took {:?} in {} tries", report.endpoint, report.duration, report.tries)
/// }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CallReport<'a> {
    /// Which call it was.
    pub endpoint: Endpoint,
    /// Its HTTP method.
    pub method: Method,
    /// The status of the last answer; `None` when there was no answer.
    pub status: Option<StatusCode>,
    /// From the first request to the head of the last answer, waits included.
    pub duration: Duration,
    /// How many requests were sent, redirects aside.
    pub tries: u32,
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
