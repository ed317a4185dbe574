//! The user's wish to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::ExecError;
use super::watch::Change;

/// Waits for signals that mean "stop", and with `--watch` for changes of what is run.
#[derive(Debug)]
pub(super) struct Stop {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    quit: Signal,
    count: u32,
    newer: Option<watch::Receiver<Option<Change>>>,
    canceled_for: Option<Change>,
}

/// How often and how firmly it was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wish {
    /// Not at all: what is run has changed, so it is of no use any more.
    Newer(Change),
    /// Once: cancel, with `after_script`.
    Cancel,
    /// Twice: kill what runs.
    Kill,
    /// Once more: do not wait for that.
    Leave,
}

impl Stop {
    /// From now on these signals do not end the process.
    pub(super) fn new() -> Result<Self, ExecError> {
        let listen = |kind| {
            signal(kind).map_err(|source| ExecError::System { what: "cannot listen for signals", source })
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
            quit: listen(SignalKind::quit())?,
            count: 0,
            newer: None,
            canceled_for: None,
        })
    }

    /// Another run begins, which these changes make useless, or nothing but signals does.
    pub(super) fn renew(&mut self, newer: Option<watch::Receiver<Option<Change>>>) {
        self.newer = newer;
        self.canceled_for = None;
    }

    /// Whether there was a signal so far.
    pub(super) fn is_wished(&self) -> bool {
        self.count > 0
    }

    /// The change that made the run useless, if one did.
    pub(super) fn canceled_for(&self) -> Option<Change> {
        self.canceled_for.clone()
    }

    /// The next one.
    ///
    /// # Cancel safety
    /// A dropped call loses no signal.
    pub(super) async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
            _ = self.quit.recv() => {}
            change = change(&mut self.newer) => {
                // Once is enough.
                self.newer = None;
                self.canceled_for = Some(change.clone());
                return Wish::Newer(change);
            }
        }
        self.count += 1;
        match self.count {
            1 => Wish::Cancel,
            2 => Wish::Kill,
            _ => Wish::Leave,
        }
    }
}

/// The change, as soon as there is one.
async fn change(newer: &mut Option<watch::Receiver<Option<Change>>>) -> Change {
    if let Some(newer) = newer
        && let Ok(change) = newer.wait_for(Option::is_some).await
        && let Some(change) = change.as_ref()
    {
        return change.clone();
    }
    std::future::pending().await
}
