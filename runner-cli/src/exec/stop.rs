//! The user's wish to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::ExecError;

/// Waits for signals that mean "stop".
#[derive(Debug)]
pub(super) struct Stop {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    quit: Signal,
    count: u32,
}

/// How often and how firmly it was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
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
        })
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
        }
        self.count += 1;
        match self.count {
            1 => Wish::Cancel,
            2 => Wish::Kill,
            _ => Wish::Leave,
        }
    }
}
