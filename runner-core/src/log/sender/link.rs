//! What uploads, keep-alive and delivery share: the line to the server and what it said last.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use runner_api::{JobUpdate, PatchResult, TraceOutput, UpdateResult};
use tokio::sync::watch;
use tokio::time::Instant;

use super::super::joblog::Published;
use super::super::reader::LogReader;
use super::api::{Problem, Reply, TraceApi};
use super::{Directive, SenderSettings};

/// The longest interval between two bursts, whatever the server says.
pub(super) const MAX_INTERVAL: Duration = Duration::from_secs(15 * 60);

#[derive(Debug)]
pub(super) struct Link {
    api: Arc<dyn TraceApi>,
    pub(super) log: LogReader,
    pub(super) settings: SenderSettings,
    pub(super) directive: watch::Sender<Directive>,
    acknowledged: AtomicU64,
    /// Whether it is not known that the server has heard that the job was accepted.
    unaccepted: AtomicBool,
    /// Pause between two bursts.
    interval: watch::Sender<Duration>,
    /// When the server last heard of the job; `None`: never.
    heard: Mutex<Option<Instant>>,
}

impl Link {
    pub(super) fn new(api: Arc<dyn TraceApi>, log: LogReader, settings: SenderSettings) -> Self {
        Self {
            api,
            log,
            directive: watch::Sender::new(Directive::Run),
            acknowledged: AtomicU64::new(0),
            unaccepted: AtomicBool::new(false),
            interval: watch::Sender::new(settings.interval),
            heard: Mutex::new(None),
            settings,
        }
    }

    /// Sends a piece of the log, for at most `timeout`.
    pub(super) async fn patch(&self, offset: u64, piece: Bytes, timeout: Duration) -> Reply<PatchResult> {
        let call = self.api.patch(offset, piece, self.settings.debug);
        let reply = match tokio::time::timeout(timeout, call).await {
            Ok(reply) => reply,
            Err(_) => {
                Reply::new(PatchResult::Failed).with_problem(None, format!("no answer within {timeout:?}"))
            }
        };
        self.note(&reply);
        match reply.result {
            PatchResult::Accepted { .. } | PatchResult::RangeMismatch { .. } => self.heard(),
            PatchResult::Abort => self.direct(Directive::Abort),
            _ => {}
        }
        reply
    }

    /// Tells how the job is.
    pub(super) async fn update(&self, update: &JobUpdate) -> Reply<UpdateResult> {
        let timeout = self.settings.update_timeout;
        let reply = match tokio::time::timeout(timeout, self.api.update(update)).await {
            Ok(reply) => reply,
            Err(_) => {
                Reply::new(UpdateResult::Failed).with_problem(None, format!("no answer within {timeout:?}"))
            }
        };
        self.note(&reply);
        if reply.is_heard() {
            self.unaccepted.store(false, Ordering::Relaxed);
        }
        match reply.result {
            UpdateResult::Succeeded | UpdateResult::AcceptedButNotCompleted => self.heard(),
            UpdateResult::Abort => self.direct(Directive::Abort),
            _ => {}
        }
        reply
    }

    /// Whether the job is to be accepted before anything else is sent.
    pub(super) fn is_unaccepted(&self) -> bool {
        self.unaccepted.load(Ordering::Relaxed)
    }

    pub(super) fn set_unaccepted(&self) {
        self.unaccepted.store(true, Ordering::Relaxed);
    }

    /// The published log, as the server wants to hear of it.
    pub(super) fn output(published: Published) -> TraceOutput {
        TraceOutput::new(published.crc32, published.len)
    }

    pub(super) fn interval(&self) -> Duration {
        *self.interval.borrow()
    }

    /// Waits until an interval has passed since `start`, by the interval that the server wants now.
    pub(super) async fn interval_since(&self, start: Instant) {
        let mut interval = self.interval.subscribe();
        loop {
            let due = start + *interval.borrow_and_update();
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(due) => return,
                _ = interval.changed() => {}
            }
        }
    }

    pub(super) fn last_heard(&self) -> Option<Instant> {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    pub(super) fn set_acknowledged(&self, len: u64) {
        self.acknowledged.store(len, Ordering::Relaxed);
    }

    /// What every answer may say beside its result.
    fn note<R>(&self, reply: &Reply<R>) {
        if let Some(interval) = reply.update_interval.filter(|interval| !interval.is_zero()) {
            self.interval.send_replace(interval.min(MAX_INTERVAL));
        }
        if reply.cancel_requested {
            self.direct(Directive::Cancel);
        }
    }

    fn heard(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn direct(&self, directive: Directive) {
        self.directive.send_if_modified(|current| {
            let more = directive > *current;
            *current = directive.max(*current);
            more
        });
    }
}

impl Problem {
    /// Whether the same request may go through a little later: there was no answer, too many requests, or trouble at the
    /// server.
    pub(super) fn may_pass(&self) -> bool {
        self.status.is_none_or(|status| matches!(status, 408 | 429 | 500..))
    }
}

impl Reply<UpdateResult> {
    /// Whether the server has taken note, or wants nothing more of the job.
    pub(super) fn is_heard(&self) -> bool {
        matches!(
            self.result,
            UpdateResult::Succeeded | UpdateResult::AcceptedButNotCompleted | UpdateResult::Abort
        )
    }

    /// Whether it is not known that the server heard it, and it may hear it a little later.
    pub(super) fn is_lost(&self) -> bool {
        self.result == UpdateResult::Failed && self.problem.as_ref().is_some_and(Problem::may_pass)
    }
}
