//! How a running job is asked to end, from wherever the wish comes.

use tokio::sync::watch;

use crate::journal::CancelState;

/// Asks one job to end. Cheap to clone; the firmest wish wins and none is taken back.
///
/// GitLab's answers, the manager's shutdown and the embedding program all use the same control.
///
/// ```
/// use runner_core::journal::CancelState;
/// use runner_core::run::JobControl;
///
/// let control = JobControl::new();
/// control.request(CancelState::Abort);
/// control.request(CancelState::Graceful);
/// assert_eq!(control.state(), Some(CancelState::Abort));
/// ```
#[derive(Debug, Clone)]
pub struct JobControl {
    state: watch::Sender<Option<CancelState>>,
    /// Whether the job is to be left to the next process.
    detach: watch::Sender<bool>,
}

impl Default for JobControl {
    fn default() -> Self {
        Self::new()
    }
}

impl JobControl {
    /// A control by which nobody has asked for anything.
    pub fn new() -> Self {
        Self { state: watch::Sender::new(None), detach: watch::Sender::new(false) }
    }

    /// Asks the job to end. A wish that is not firmer than an earlier one changes nothing.
    pub fn request(&self, wish: CancelState) {
        self.state.send_if_modified(|state| {
            let firmer = firmness(Some(wish)) > firmness(*state);
            if firmer {
                *state = Some(wish);
            }
            firmer
        });
    }

    /// The firmest wish so far.
    pub fn state(&self) -> Option<CancelState> {
        *self.state.borrow()
    }

    /// Waits for a wish that is at least as firm as `least`.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn requested(&self, least: CancelState) -> CancelState {
        let mut receiver = self.state.subscribe();
        let found = receiver.wait_for(|state| firmness(*state) >= firmness(Some(least))).await;
        match found.map(|state| *state) {
            Ok(Some(wish)) => wish,
            // The sender is `self`, so the channel cannot close while this runs.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Leaves the job to the next process, if that can go on with it; asks it to end if not.
    pub(crate) fn detach(&self) {
        self.detach.send_replace(true);
    }

    /// Waits until the job is to be left to the next process.
    pub(super) async fn detached(&self) {
        // The sender is `self`, so the channel cannot close while this runs.
        let _ = self.detach.subscribe().wait_for(|detach| *detach).await;
    }

    /// The wish, if it is at least as firm as `least`.
    pub(super) fn at_least(&self, least: CancelState) -> Option<CancelState> {
        self.state().filter(|wish| firmness(Some(*wish)) >= firmness(Some(least)))
    }

    /// Wishes as they come.
    pub(super) fn changes(&self) -> watch::Receiver<Option<CancelState>> {
        self.state.subscribe()
    }
}

/// How firm a wish is.
fn firmness(state: Option<CancelState>) -> u8 {
    match state {
        None => 0,
        Some(CancelState::Graceful) => 1,
        Some(CancelState::Interrupted) => 2,
        Some(CancelState::Abort | CancelState::InterruptedAtOnce) => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_firmest_wish_wins_and_the_first_of_equals() {
        let control = JobControl::new();
        assert_eq!(control.state(), None);
        assert_eq!(control.at_least(CancelState::Graceful), None);
        control.request(CancelState::Graceful);
        assert_eq!(control.requested(CancelState::Graceful).await, CancelState::Graceful);
        assert_eq!(control.at_least(CancelState::Interrupted), None);
        control.request(CancelState::Interrupted);
        control.request(CancelState::Graceful);
        assert_eq!(control.at_least(CancelState::Graceful), Some(CancelState::Interrupted));
        let waiting = control.clone();
        let waiting = tokio::spawn(async move { waiting.requested(CancelState::Abort).await });
        control.request(CancelState::InterruptedAtOnce);
        control.request(CancelState::Abort);
        assert_eq!(waiting.await.unwrap(), CancelState::InterruptedAtOnce);
        assert_eq!(control.state(), Some(CancelState::InterruptedAtOnce));
    }
}
