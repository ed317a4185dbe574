//! The client's own ceiling on requests, in front of whatever the server says.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

/// The longest time between two requests that can be asked for: a day.
const LONGEST_PERIOD: Duration = Duration::from_secs(24 * 60 * 60);

/// How many requests a client sends at most: a steady rate, and how many may go at once after a silence.
///
/// Each request to the instance counts, also the repeated ones; what goes to an object storage does not. A call that would
/// exceed the rate waits; calls wait in the order in which they came. Without it ([the default](crate::ClientBuilder)) there
/// is no such wait.
///
/// ```
/// use std::num::NonZeroU32;
/// use std::time::Duration;
/// use runner_api::{ClientBuilder, RequestRate};
///
/// let twenty = NonZeroU32::new(20).ok_or("never")?;
/// let rate = RequestRate::every(Duration::from_millis(500)).with_burst(twenty);
/// let client = ClientBuilder::new("https://gitlab.example.com")?.request_rate(rate).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestRate {
    period: Duration,
    burst: NonZeroU32,
}

impl RequestRate {
    /// So many requests a second, all of which may go at once after a second of silence.
    ///
    /// ```
    /// use std::num::NonZeroU32;
    /// use std::time::Duration;
    /// use runner_api::RequestRate;
    ///
    /// let four = NonZeroU32::new(4).ok_or("never")?;
    /// assert_eq!(RequestRate::per_second(four), RequestRate::every(Duration::from_millis(250)).with_burst(four));
    /// # Ok::<(), &str>(())
    /// ```
    #[must_use]
    pub fn per_second(requests: NonZeroU32) -> Self {
        Self::every(Duration::from_secs(1) / requests.get()).with_burst(requests)
    }

    /// One request per `period` (1 ns to a day), one at a time.
    ///
    /// ```
    /// use std::time::Duration;
    /// use runner_api::RequestRate;
    ///
    /// let slow = RequestRate::every(Duration::from_secs(3));
    /// assert_ne!(slow, RequestRate::every(Duration::from_secs(2)));
    /// ```
    #[must_use]
    pub fn every(period: Duration) -> Self {
        let period = period.clamp(Duration::from_nanos(1), LONGEST_PERIOD);
        Self { period, burst: NonZeroU32::MIN }
    }

    /// How many requests may go at once after a silence.
    ///
    /// ```
    /// use std::num::NonZeroU32;
    /// use std::time::Duration;
    /// use runner_api::RequestRate;
    ///
    /// let rate = RequestRate::every(Duration::from_secs(3)).with_burst(NonZeroU32::new(10).ok_or("never")?);
    /// # Ok::<(), &str>(())
    /// ```
    #[must_use]
    pub fn with_burst(mut self, burst: NonZeroU32) -> Self {
        self.burst = burst;
        self
    }
}

/// Holds requests back so that a [`RequestRate`] is kept.
pub(super) struct Ceiling {
    limiter: RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Duration>>,
    clock: TokioClock,
    /// Who waits holds it: the next one in line asks the limiter after that.
    line: tokio::sync::Mutex<()>,
}

impl Ceiling {
    pub(super) fn new(rate: RequestRate) -> Option<Self> {
        let quota = Quota::with_period(rate.period)?.allow_burst(rate.burst);
        let clock = TokioClock(Instant::now());
        let limiter = RateLimiter::direct_with_clock(quota, clock);
        Some(Self { limiter, clock, line: tokio::sync::Mutex::new(()) })
    }

    /// Waits until a request may be sent. Cancel-safe: who gives up has used nothing.
    pub(super) async fn pass(&self) {
        let _turn = self.line.lock().await;
        while let Err(not_until) = self.limiter.check() {
            tokio::time::sleep(not_until.wait_time_from(self.clock.now())).await;
        }
    }
}

impl fmt::Debug for Ceiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ceiling").finish_non_exhaustive()
    }
}

/// Time since a beginning, by tokio's clock: a test that pauses that clock pauses the limiter, too.
#[derive(Debug, Clone, Copy)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn passes(ceiling: &Ceiling, count: u32) -> Vec<u128> {
        let started = Instant::now();
        let mut times = Vec::new();
        for _ in 0..count {
            ceiling.pass().await;
            times.push(started.elapsed().as_millis());
        }
        times
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_then_the_steady_rate() {
        let rate = RequestRate::every(Duration::from_millis(100)).with_burst(NonZeroU32::new(3).unwrap());
        let ceiling = Ceiling::new(rate).unwrap();
        assert_eq!(passes(&ceiling, 5).await, [0, 0, 0, 100, 200]);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(passes(&ceiling, 4).await, [0, 0, 0, 100]);
    }

    #[tokio::test(start_paused = true)]
    async fn rates_of_any_size() {
        for rate in [
            RequestRate::every(Duration::ZERO),
            RequestRate::every(Duration::MAX),
            RequestRate::per_second(NonZeroU32::MAX),
            RequestRate::every(Duration::MAX).with_burst(NonZeroU32::new(1000).unwrap()),
        ] {
            let ceiling = Ceiling::new(rate).unwrap();
            assert_eq!(passes(&ceiling, 1).await, [0], "{rate:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_does_not_hold_the_others_up() {
        let ceiling = Ceiling::new(RequestRate::every(Duration::from_secs(10))).unwrap();
        ceiling.pass().await;
        let started = Instant::now();
        assert!(tokio::time::timeout(Duration::from_secs(4), ceiling.pass()).await.is_err());
        ceiling.pass().await;
        assert_eq!(started.elapsed().as_secs(), 10);
    }
}
