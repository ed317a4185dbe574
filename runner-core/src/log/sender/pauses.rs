//! How long to wait after a failure.

use std::time::Duration;

use tokio::time::Instant;

use super::api::Problem;
use super::link::MAX_INTERVAL;

/// The first pause after a failure; each further one is twice as long, up to [`LONGEST`].
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// The longest pause at first where trouble may pass. When it has lasted for longer than 30 times this, the longest pause is
/// the thirtieth part of that time: what lasts is asked about less often, and costs little more than it lasts.
const LONG: Duration = Duration::from_secs(1);

/// Failures in a row.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    failures: u32,
    since: Option<Instant>,
}

impl Pauses {
    /// Counts a failure, by trouble that may pass or by a refusal. How long to wait after it: as long as the server asks for,
    /// if it does.
    pub(super) fn after(&mut self, problem: Option<&Problem>, may_pass: bool) -> Duration {
        let lasts = self.since.get_or_insert_with(Instant::now).elapsed();
        let doubled = SHORTEST.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        match problem.and_then(|problem| problem.retry_after) {
            Some(asked) => asked.clamp(SHORTEST, MAX_INTERVAL),
            None if may_pass => doubled.min((lasts / 30).clamp(LONG, LONGEST)),
            None => doubled.min(LONGEST),
        }
    }

    /// Something has gone through, or there is a reason to begin with short pauses again.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pauses of an outage, each with the time that it had lasted before.
    async fn outage(count: usize) -> Vec<(Duration, Duration)> {
        let (mut pauses, start) = (Pauses::default(), Instant::now());
        let mut list = Vec::new();
        for _ in 0..count {
            let pause = pauses.after(None, true);
            list.push((start.elapsed(), pause));
            tokio::time::sleep(pause).await;
        }
        list
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_outage_costs_a_second_at_most() {
        let list: Vec<u128> = outage(30).await.into_iter().map(|(_, pause)| pause.as_millis()).collect();
        assert_eq!(list[..6], [100, 200, 400, 800, 1000, 1000]);
        assert!(list[6..].iter().all(|pause| *pause == 1000), "{list:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_outage_costs_a_thirtieth_of_its_length() {
        let list = outage(200).await;
        for (lasted, pause) in &list {
            assert!(*pause <= (*lasted / 30).clamp(LONG, LONGEST), "{pause:?} after {lasted:?}");
        }
        assert_eq!(list.last().map(|(_, pause)| *pause), Some(LONGEST));
    }

    #[test]
    fn a_refusal_is_not_asked_about_every_second() {
        let mut pauses = Pauses::default();
        let list: Vec<u128> = (0..8).map(|_| pauses.after(None, false).as_millis()).collect();
        assert_eq!(list, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_servers_wish_counts_more() {
        let mut pauses = Pauses::default();
        let mut problem = Problem { text: String::new(), status: Some(429), retry_after: None };
        for (asked, expected) in [(7, 7), (86_400, 900)] {
            problem.retry_after = Some(Duration::from_secs(asked));
            assert_eq!(pauses.after(Some(&problem), true), Duration::from_secs(expected));
        }
        problem.retry_after = Some(Duration::ZERO);
        assert_eq!(pauses.after(Some(&problem), true), SHORTEST);
        pauses.reset();
        assert_eq!(pauses.after(None, true), SHORTEST);
    }
}
