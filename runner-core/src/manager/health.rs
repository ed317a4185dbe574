//! When a runner that is refused stops asking for a while.

use std::time::Duration;

use tokio::time::Instant;

use crate::settings::PollSettings;

/// Counts refusals in a row. Only answers that say something about this runner count: a server that is down does not make a
/// runner unhealthy.
#[derive(Debug, Default)]
pub(super) struct Health {
    refusals: u32,
    pause_until: Option<Instant>,
}

impl Health {
    /// The server answered as it does to a runner that it knows, or did not answer at all.
    pub(super) fn good(&mut self) {
        self.refusals = 0;
    }

    /// The server refused this runner, or the runner cannot work as configured. Says how long to pause.
    pub(super) fn refused(&mut self, settings: &PollSettings) -> Duration {
        self.refusals += 1;
        if self.refusals < settings.unhealthy_requests_limit.max(1) {
            return settings.check_interval;
        }
        self.refusals = 0;
        self.pause_until = Instant::now().checked_add(settings.unhealthy_interval);
        settings.unhealthy_interval
    }

    /// Until when nobody asks; `None`: ask.
    pub(super) fn pause_until(&mut self) -> Option<Instant> {
        self.pause_until = self.pause_until.filter(|end| *end > Instant::now());
        self.pause_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn refusals_in_a_row_pause_the_runner() {
        let settings = PollSettings::default();
        let mut health = Health::default();
        assert_eq!(health.refused(&settings), settings.check_interval);
        assert_eq!(health.refused(&settings), settings.check_interval);
        health.good();
        assert_eq!(health.refused(&settings), settings.check_interval);
        assert_eq!(health.refused(&settings), settings.check_interval);
        assert_eq!(health.pause_until(), None);
        assert_eq!(health.refused(&settings), settings.unhealthy_interval);
        assert_eq!(health.pause_until(), Some(Instant::now() + settings.unhealthy_interval));
        tokio::time::advance(settings.unhealthy_interval).await;
        assert_eq!(health.pause_until(), None);
        assert_eq!(health.refused(&settings), settings.check_interval);
    }
}
