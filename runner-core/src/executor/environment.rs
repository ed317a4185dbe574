//! [`Environment`]: the place of one job.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use futures_core::Stream;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{EnvironmentError, FollowEvent, Place, StageInput, StageKey, StageStatus, Started, Stop};

/// Items of [`Environment::follow`]: frames in order, then exactly one `Ended` or `Broken`.
pub type FollowStream = Pin<Box<dyn Stream<Item = FollowEvent> + Send>>;

/// The place of one job.
///
/// Dropping it detaches: what runs goes on, what exists stays. See the [module](super) for the rules.
#[async_trait]
pub trait Environment: Send + Sync + fmt::Debug {
    /// A small value by which the environment can be found again. Known from the start: the core journals it before
    /// [`prepare`](Self::prepare), so that a create whose answer was lost can still be found by its name.
    fn handle(&self) -> Handle;

    /// Makes the place. Lines for the job's log go to `notices`.
    ///
    /// # Errors
    /// With a cause, evidence and whether another try makes sense. A failed call leaves nothing that a following
    /// [`cleanup`](Self::cleanup) does not remove. `cancel` ends it early with [`Cause::Canceled`](super::Cause::Canceled).
    async fn prepare(
        &self,
        request: PrepareRequest,
        notices: Notices,
        cancel: CancellationToken,
    ) -> Result<Place, EnvironmentError>;

    /// Starts a stage. Idempotent by key: a second call with the same key starts nothing and says what is there.
    ///
    /// # Errors
    /// When it could not be started or it is not known whether it was; [`status`](Self::status) then tells.
    async fn start(&self, key: &StageKey, input: StageInput) -> Result<Started, EnvironmentError>;

    /// The stage's output from a source offset on (0, or the `end` of a frame seen before), then its end.
    ///
    /// Reading is what drives the stream: a reader that is slow slows the job's output, nothing piles up in memory.
    fn follow(&self, key: &StageKey, from: u64) -> FollowStream;

    /// What is known of the stage.
    ///
    /// # Errors
    /// When asking failed; ask again.
    async fn status(&self, key: &StageKey) -> Result<StageStatus, EnvironmentError>;

    /// Asks the stage to end; returns when the request has been delivered, not when the stage has ended. A stage that has
    /// ended or never started is success. Keeps its own deadline: it never waits for an unreachable place forever.
    ///
    /// # Errors
    /// When the request may not have arrived; repeat it.
    async fn stop(&self, key: &StageKey, how: Stop) -> Result<(), EnvironmentError>;

    /// Ends what still runs and removes what was made, within `deadline`. May be called again.
    ///
    /// # Errors
    /// When it is not known what stayed; otherwise what stayed is in the answer.
    async fn cleanup(&self, why: CleanupReason, deadline: Duration) -> Result<Remains, EnvironmentError>;
}

/// What [`Environment::prepare`] is asked for.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct PrepareRequest {
    /// Which try this is, from 1.
    pub attempt: u32,
}

impl PrepareRequest {
    /// A request for the given try, from 1.
    pub fn new(attempt: u32) -> Self {
        Self { attempt }
    }
}

/// A serializable pointer to an environment.
///
/// ```
/// use runner_core::executor::Handle;
///
/// let handle = Handle::new("shell", serde_json::json!({ "folder": "runner-abc-job-7" }));
/// assert_eq!(handle.value()["folder"], "runner-abc-job-7");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Handle {
    executor: String,
    value: serde_json::Value,
}

impl Handle {
    /// A handle of the named executor. Holds no secret: it is written to the journal.
    pub fn new(executor: impl Into<String>, value: serde_json::Value) -> Self {
        Self { executor: executor.into(), value }
    }

    /// Name of the executor that made it.
    pub fn executor(&self) -> &str {
        &self.executor
    }

    /// What the executor put in.
    pub fn value(&self) -> &serde_json::Value {
        &self.value
    }
}

/// Why a place is cleaned up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CleanupReason {
    /// The job is over.
    JobEnded,
    /// Preparing failed and is tried again.
    PrepareFailed,
    /// The manager found the job after a restart and does not go on with it.
    Abandoned,
}

/// What [`Environment::cleanup`] could not remove: one readable line each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remains {
    /// The lines; empty means that everything is gone.
    pub items: Vec<String>,
}

/// How a notice is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeLevel {
    /// As it is.
    Plain,
    /// Good news.
    Info,
    /// Something to know.
    Warning,
    /// Something went wrong.
    Error,
}

/// A line for the job's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// How it is shown.
    pub level: NoticeLevel,
    /// The line, without a line end.
    pub text: String,
}

/// Where an environment says things to the user while it prepares.
///
/// ```
/// use runner_core::executor::{NoticeLevel, Notices};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (notices, mut lines) = Notices::channel();
/// notices.plain("Using Shell (bash) executor...").await;
/// drop(notices);
/// assert_eq!(lines.recv().await.unwrap().level, NoticeLevel::Plain);
/// assert!(lines.recv().await.is_none());
/// # });
/// ```
#[derive(Debug, Clone)]
pub struct Notices {
    sender: mpsc::Sender<Notice>,
}

impl Notices {
    /// A pair of ends. A reader that is slow makes the writer wait.
    pub fn channel() -> (Self, mpsc::Receiver<Notice>) {
        let (sender, receiver) = mpsc::channel(16);
        (Self { sender }, receiver)
    }

    /// Says a line as it is.
    pub async fn plain(&self, text: impl Into<String>) {
        self.say(NoticeLevel::Plain, text.into()).await;
    }

    /// Says good news.
    pub async fn info(&self, text: impl Into<String>) {
        self.say(NoticeLevel::Info, text.into()).await;
    }

    /// Says something to know.
    pub async fn warning(&self, text: impl Into<String>) {
        self.say(NoticeLevel::Warning, text.into()).await;
    }

    /// Says that something went wrong.
    pub async fn error(&self, text: impl Into<String>) {
        self.say(NoticeLevel::Error, text.into()).await;
    }

    async fn say(&self, level: NoticeLevel, text: String) {
        // A closed log means that the job is over; there is nobody left to tell.
        let _ = self.sender.send(Notice { level, text }).await;
    }
}
