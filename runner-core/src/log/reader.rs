//! The log as its sender sees it: published bytes only.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::joblog::{Published, Shared};
use super::task::Command;

/// Reads the published part of a job's log.
#[derive(Clone)]
pub struct LogReader {
    shared: Arc<Shared>,
    /// Weak: a sender must not keep the log's task from ending.
    commands: mpsc::WeakSender<Command>,
}

impl LogReader {
    pub(super) fn new(shared: Arc<Shared>, commands: mpsc::WeakSender<Command>) -> Self {
        Self { shared, commands }
    }

    /// How much may be sent now.
    pub fn published(&self) -> Published {
        *self.shared.published.borrow()
    }

    /// How much was there when the log was opened: another sender may have sent any part of it.
    pub fn recovered(&self) -> u64 {
        self.shared.recovered
    }

    /// Waits until there is more than `len`; that much is then published as soon as it is there. Cancel-safe. For one waiter at a
    /// time. Never returns if the log's task has ended.
    pub async fn beyond(&self, len: u64) {
        let mut published = self.shared.published.subscribe();
        loop {
            if published.borrow_and_update().len > len {
                return;
            }
            self.shared.wanted_beyond.store(len, Ordering::Relaxed);
            self.shared.wanted.notify_one();
            if published.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Publishes what was written until now; how much may be sent then.
    pub async fn publish(&self) -> Published {
        if let Some(commands) = self.commands.upgrade() {
            let (answer, answered) = oneshot::channel();
            if commands.send(Command::Commit(answer)).await.is_ok() {
                // Without an answer the task has failed; what was published before is still good.
                let _ = answered.await;
            }
        }
        self.published()
    }

    /// Published bytes.
    ///
    /// # Errors
    ///
    /// What the spool's storage says.
    pub async fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        let in_memory = self.shared.tail().as_ref().map(|tail| {
            let start = tail.start().clamp(range.start, range.end);
            (start, Bytes::copy_from_slice(tail.part(start..range.end)))
        });
        match in_memory {
            None => self.shared.storage.spool.read(range).await,
            Some((start, tail)) if start == range.start => Ok(tail),
            Some((start, tail)) => {
                let spooled = self.shared.storage.spool.read(range.start..start).await?;
                Ok([spooled, tail].concat().into())
            }
        }
    }
}

impl fmt::Debug for LogReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogReader").field("published", &self.published()).finish_non_exhaustive()
    }
}
