//! Wall-clock time as a parameter.
//!
//! Waiting goes through tokio's timers, which tests pause; what time it is goes through a [`Clock`], so that a simulation can
//! tell it too.

use std::fmt;
use std::time::SystemTime;

/// Tells what time it is.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Now.
    fn now(&self) -> SystemTime;
}

/// The clock of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// A clock that goes with tokio's: it starts at a given time and stands still while tokio's clock is paused.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use runner_core::time::{Clock, TokioClock};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let clock = TokioClock::starting_at(SystemTime::UNIX_EPOCH);
/// tokio::time::sleep(Duration::from_secs(5)).await;
/// assert_eq!(clock.now(), SystemTime::UNIX_EPOCH + Duration::from_secs(5));
/// # });
/// ```
#[derive(Debug, Clone, Copy)]
pub struct TokioClock {
    epoch: SystemTime,
    start: tokio::time::Instant,
}

impl TokioClock {
    /// A clock that shows `epoch` now.
    pub fn starting_at(epoch: SystemTime) -> Self {
        Self { epoch, start: tokio::time::Instant::now() }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> SystemTime {
        self.epoch + self.start.elapsed()
    }
}
