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
}

impl Default for JobControl {
    fn default() -> Self {
        Self::new()
    }
}

impl JobControl {
    /// A control by which nobody has asked for anything.
    pub fn new() -> Self {
        Self { state: watch::Sender::new(None) }
    }

    /// Asks the job to end. A weaker wish than an earlier one changes nothing.
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
}

fn firmness(state: Option<CancelState>) -> u8 {
    match state {
        None => 0,
        Some(CancelState::Graceful) => 1,
        Some(CancelState::Interrupted) => 2,
        Some(CancelState::Abort) => 3,
    }
}
