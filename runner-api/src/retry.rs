//! Retrying as data: what may be repeated, after which answers, and how long to wait.
//!
//! The client repeats a call by itself only after an *answer* that invites to (see [`is_retryable_status`]). A broken
//! connection is reported to the caller at once: the callers of a Runner API (a trace sender, a final update, a poll)
//! all come back on their own schedule.

use std::time::{Duration, SystemTime};

use backon::{BackoffBuilder, ExponentialBuilder};
use http::{HeaderMap, StatusCode};

use crate::endpoint::Endpoint;

/// The longest wait that a server can ask for: 15 minutes.
///
/// ```
/// use std::time::SystemTime;
/// use runner_api::retry::{SERVER_DELAY_CEILING, server_delay};
///
/// let headers = http::HeaderMap::from_iter([(http::header::RETRY_AFTER, "86400".parse()?)]);
/// assert_eq!(server_delay(&headers, SystemTime::now()), Some(SERVER_DELAY_CEILING));
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
pub const SERVER_DELAY_CEILING: Duration = Duration::from_secs(15 * 60);

/// Whether an answer with this status may be different next time: 408, 429, 500, 502, 503, 504 and everything from 512.
///
/// ```
/// use http::StatusCode;
/// use runner_api::retry::is_retryable_status;
///
/// assert!(is_retryable_status(StatusCode::TOO_MANY_REQUESTS));
/// assert!(!is_retryable_status(StatusCode::NOT_IMPLEMENTED));
/// ```
#[must_use]
pub fn is_retryable_status(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504 | 512..)
}

/// Whether the status says that the request was not carried out, so that even a call with side effects may be repeated.
fn was_not_executed(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 503)
}

/// The wait that an answer asks for, measured at `now`: `RateLimit-ResetTime` (a date that is still to come), else
/// `Retry-After` (seconds, or a date); at most [`SERVER_DELAY_CEILING`].
///
/// Source: GitLab documentation, "Rate limits", response headers.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use runner_api::retry::server_delay;
///
/// let mut headers = http::HeaderMap::new();
/// headers.insert("retry-after", "7".parse()?);
/// assert_eq!(server_delay(&headers, SystemTime::now()), Some(Duration::from_secs(7)));
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
#[must_use]
pub fn server_delay(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let until = |text| httpdate::parse_http_date(text).ok()?.duration_since(now).ok();
    let seconds = |text: &str| text.parse().ok().map(Duration::from_secs);
    let reset = text("ratelimit-resettime").and_then(until);
    let after = || text("retry-after").and_then(|text| seconds(text).or_else(|| until(text)));
    reset
        .filter(|delay| !delay.is_zero())
        .or_else(after)
        .filter(|delay| !delay.is_zero())
        .map(|delay| delay.min(SERVER_DELAY_CEILING))
}

/// How often and how patiently a call is repeated.
///
/// ```
/// use std::time::Duration;
/// use runner_api::retry::RetryPolicy;
///
/// assert_eq!(RetryPolicy::default().attempts(), 5);
/// assert_eq!(RetryPolicy::off().attempts(), 1);
///
/// let patient = RetryPolicy::default()
///     .with_attempts(8)
///     .with_delays(Duration::from_secs(1), Duration::from_secs(300))
///     .with_jitter_seed(7);
/// assert_eq!(patient.attempts(), 8);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    attempts: u32,
    min_delay: Duration,
    max_delay: Duration,
    jitter_seed: Option<u64>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 5,
            min_delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(60),
            jitter_seed: None,
        }
    }
}

impl RetryPolicy {
    /// One request per call, whatever the answer.
    ///
    /// ```
    /// use runner_api::retry::RetryPolicy;
    ///
    /// assert_eq!(RetryPolicy::off().attempts(), 1);
    /// ```
    #[must_use]
    pub fn off() -> Self {
        Self::default().with_attempts(1)
    }

    /// The largest number of requests per call, the first included. Default: 5. Zero means one.
    ///
    /// ```
    /// use runner_api::retry::RetryPolicy;
    ///
    /// assert_eq!(RetryPolicy::default().with_attempts(0).attempts(), 1);
    /// ```
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// The first wait and the longest one; between them it doubles, and up to the same time again is added at random.
    /// Defaults: 100 ms and 60 s. A wait that the server asks for takes precedence.
    ///
    /// ```
    /// use std::time::Duration;
    /// use runner_api::retry::RetryPolicy;
    ///
    /// let quick = RetryPolicy::default().with_delays(Duration::from_millis(10), Duration::from_secs(1));
    /// ```
    #[must_use]
    pub fn with_delays(mut self, min: Duration, max: Duration) -> Self {
        self.min_delay = min;
        self.max_delay = max.max(min);
        self
    }

    /// Makes the random part of the waits repeatable, for simulations.
    ///
    /// ```
    /// use runner_api::retry::RetryPolicy;
    ///
    /// let repeatable = RetryPolicy::default().with_jitter_seed(7);
    /// ```
    #[must_use]
    pub fn with_jitter_seed(mut self, seed: u64) -> Self {
        self.jitter_seed = Some(seed);
        self
    }

    /// The largest number of requests per call.
    ///
    /// ```
    /// use runner_api::retry::RetryPolicy;
    ///
    /// assert_eq!(RetryPolicy::default().attempts(), 5);
    /// ```
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Whether a call of `endpoint` is repeated after `status`, the attempts aside. Calls that create something
    /// ([`Endpoint::is_idempotent`] is false) are repeated only when the status says that nothing was done.
    ///
    /// ```
    /// use http::StatusCode;
    /// use runner_api::Endpoint;
    /// use runner_api::retry::RetryPolicy;
    ///
    /// let policy = RetryPolicy::default();
    /// assert!(policy.retries(Endpoint::UpdateJob, StatusCode::BAD_GATEWAY));
    /// assert!(!policy.retries(Endpoint::Register, StatusCode::BAD_GATEWAY));
    /// assert!(policy.retries(Endpoint::Register, StatusCode::TOO_MANY_REQUESTS));
    /// ```
    #[must_use]
    pub fn retries(&self, endpoint: Endpoint, status: StatusCode) -> bool {
        self.attempts > 1
            && is_retryable_status(status)
            && (endpoint.is_idempotent() || was_not_executed(status))
    }

    /// A fresh schedule of waits for one call: one item less than attempts.
    pub(crate) fn schedule(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        let builder = ExponentialBuilder::default()
            .with_min_delay(self.min_delay)
            .with_max_delay(self.max_delay)
            .with_factor(2.0)
            .with_max_times(usize::try_from(self.attempts.saturating_sub(1)).unwrap_or(usize::MAX))
            .with_jitter();
        match self.jitter_seed {
            Some(seed) => builder.with_jitter_seed(seed).build(),
            None => builder.build(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
    }

    fn delay(headers: &[(&'static str, String)]) -> Option<u64> {
        let map =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        server_delay(&map, now()).map(|delay| delay.as_secs())
    }

    fn date(offset: i64) -> String {
        httpdate::fmt_http_date(
            SystemTime::UNIX_EPOCH + Duration::from_secs(NOW.saturating_add_signed(offset)),
        )
    }

    #[test]
    fn statuses() {
        let retried: Vec<u16> = (100..=599)
            .filter(|code| is_retryable_status(StatusCode::from_u16(*code).unwrap()))
            .filter(|code| *code < 512)
            .collect();
        assert_eq!(retried, [408, 429, 500, 502, 503, 504]);
        assert!((512..=599).all(|code| is_retryable_status(StatusCode::from_u16(code).unwrap())));
    }

    #[test]
    fn delays_of_the_server() {
        assert_eq!(delay(&[]), None);
        assert_eq!(delay(&[("Retry-After", "7".into())]), Some(7));
        assert_eq!(delay(&[("Retry-After", "0".into())]), None);
        assert_eq!(delay(&[("Retry-After", "-3".into())]), None);
        assert_eq!(delay(&[("Retry-After", "soon".into())]), None);
        assert_eq!(delay(&[("Retry-After", date(30))]), Some(30));
        assert_eq!(delay(&[("Retry-After", "86400".into())]), Some(900));
        assert_eq!(delay(&[("RateLimit-ResetTime", date(20)), ("Retry-After", "7".into())]), Some(20));
        assert_eq!(delay(&[("RateLimit-ResetTime", date(-1)), ("Retry-After", "7".into())]), Some(7));
        assert_eq!(delay(&[("RateLimit-ResetTime", date(0))]), None);
        assert_eq!(delay(&[("RateLimit-ResetTime", "never".into())]), None);
        assert_eq!(delay(&[("RateLimit-ResetTime", date(86_400))]), Some(900));
    }

    #[test]
    fn the_schedule_doubles_with_jitter() {
        let delays: Vec<_> = RetryPolicy::default().with_jitter_seed(3).schedule().collect();
        assert_eq!(delays.len(), 4);
        for (delay, base) in delays.iter().zip([100, 200, 400, 800]) {
            let base = Duration::from_millis(base);
            assert!(*delay >= base && *delay <= base * 2, "{delay:?} for {base:?}");
        }
        assert_eq!(RetryPolicy::off().schedule().count(), 0);
    }
}
