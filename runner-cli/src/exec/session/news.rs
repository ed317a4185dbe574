//! What the runner inside tells of its jobs, passed on to the session.

use runner_core::observe::{Event, Observer};
use tokio::sync::mpsc;

/// The runner's end: never waits.
#[derive(Debug)]
pub(in crate::exec) struct Reporter(mpsc::UnboundedSender<Event>);

/// The session's end.
pub(super) type News = mpsc::UnboundedReceiver<Event>;

impl Reporter {
    /// A reporter and where its news arrive.
    pub(super) fn new() -> (Self, News) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }
}

impl Observer for Reporter {
    fn observe(&self, event: &Event) {
        // A session that does not listen any more has ended.
        let _ = self.0.send(event.clone());
    }
}
