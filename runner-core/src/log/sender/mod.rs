//! Brings the log and the state of a job to GitLab.
//!
//! ```text
//!            ┌─ uploads: a burst per interval, repaired, retried ──────────┐
//! SenderTask ┤                                                             ├─► delivery: drain, final state, retried
//!            └─ keep-alive: says "running" while the server hears nothing ─┘
//! ```
//!
//! Uploads and keep-alive run beside each other: a request that hangs holds up neither the other nor the run. Both hear
//! whether the server wants the job to go on; the run learns of it by [`TraceSender::directive`].

mod api;
mod delivery;
mod keep_alive;
mod link;
mod pauses;
mod uploads;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use runner_api::{FailureReason, JobUpdate, UpdateResult};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

pub use api::{Problem, Reply, TraceApi};
use link::Link;
use pauses::Pauses;
use uploads::Uploads;

use super::joblog::JobLog;

/// Tries of the acknowledgement before the job goes on without.
const ACKNOWLEDGE_TRIES: u32 = 5;

/// How the sender goes about its work.
#[derive(Debug, Clone)]
pub struct SenderSettings {
    /// Pause between two bursts while the server names none.
    pub interval: Duration,
    /// Time for one PATCH, at first: a request that takes longer is given up and sent again, smaller and with more time.
    pub patch_timeout: Duration,
    /// Time for one PUT.
    pub update_timeout: Duration,
    /// Tries of reporting the final state, at least 1. The first one lasts a second, each further one twice as long; within
    /// that time what was lost, or met a server in trouble, is sent again.
    pub final_update_tries: u32,
    /// Whether the log shows every command and variable (`CI_DEBUG_TRACE`, `CI_DEBUG_SERVICES`).
    pub debug: bool,
}

impl Default for SenderSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            patch_timeout: Duration::from_secs(10),
            update_timeout: Duration::from_secs(20),
            final_update_tries: 10,
            debug: false,
        }
    }
}

/// What the server wants of a running job. Only ever grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Directive {
    /// Go on.
    Run,
    /// A user cancelled: end the script, run `after_script`, report.
    Cancel,
    /// Nothing more is wanted: end everything.
    Abort,
}

/// How a job ended, as GitLab is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinalState {
    /// It ended well.
    Success,
    /// It failed.
    Failed {
        /// Why, in words that the server knows: see [`FailureReason::for_server`].
        reason: FailureReason,
        /// Exit code of the script, if it was the script that failed.
        exit_code: Option<i32>,
    },
}

/// What became of the acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledgement {
    /// The job is this runner's; also if nothing could be learned.
    Accepted,
    /// A user has cancelled it already: report it as cancelled, do not run it.
    CancelRequested,
    /// It is not this runner's any more: drop it without a report.
    Gone,
}

/// What became of a job's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The server has the whole log and the final state.
    Delivered,
    /// The server wants nothing more of this job, for the reason it gave: it was cancelled, erased, or ended otherwise.
    RejectedByServer(String),
    /// The last of the allowed tries failed, and how. Spool and checkpoint still hold everything.
    GivenUp(String),
    /// The sender's task was ended before it came to a result.
    Interrupted,
}

/// Sends one job's log. Made with its task; the handle may be cloned.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use runner_core::log::{Delivery, FinalState, JobLog, SenderSettings, TraceSender};
/// # async fn run(client: runner_api::JobClient, log: JobLog) -> Result<(), runner_core::log::LogError> {
/// let (sender, task) = TraceSender::new(Arc::new(client), &log, SenderSettings::default());
/// sender.acknowledge().await;
/// tokio::spawn(task.run());
/// // … the job runs and appends to the log; `sender.directive()` tells of a cancel …
/// log.finish().await?;
/// log.sync().await?;
/// if sender.finish(FinalState::Success).await == Delivery::Delivered {
///     log.remove().await?;
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct TraceSender {
    link: Arc<Link>,
    orders: mpsc::Sender<FinalState>,
    delivery: watch::Receiver<Option<Delivery>>,
}

/// The sender's task. Dropping it loses nothing: another sender finds out what the server has.
pub struct SenderTask {
    uploads: Uploads,
    orders: mpsc::Receiver<FinalState>,
    delivery: watch::Sender<Option<Delivery>>,
}

impl TraceSender {
    /// A sender for `log`. Nothing is sent before the task runs, or [`acknowledge`](Self::acknowledge) is called.
    pub fn new(api: Arc<dyn TraceApi>, log: &JobLog, settings: SenderSettings) -> (Self, SenderTask) {
        let link = Arc::new(Link::new(api, log.reader(), settings));
        let (orders, queue) = mpsc::channel(1);
        let (done, delivery) = watch::channel(None);
        let task = SenderTask { uploads: Uploads::new(link.clone()), orders: queue, delivery: done };
        (Self { link, orders, delivery }, task)
    }

    /// Accepts the job: `running`, without output. Before the task runs, because GitLab takes no log of a job that nobody
    /// has accepted. Not for a job that goes on after a restart.
    ///
    /// Tries again a few times if there is no proper answer; what still is not answered then counts as accepted, and is told
    /// before the log.
    ///
    /// Source: GitLab's Runner API, two-phase job commit.
    pub async fn acknowledge(&self) -> Acknowledgement {
        let (mut tries, mut pauses) = (0, Pauses::default());
        loop {
            let reply = self.link.update(&JobUpdate::running()).await;
            match reply.result {
                UpdateResult::Abort => return Acknowledgement::Gone,
                _ if reply.cancel_requested => return Acknowledgement::CancelRequested,
                _ if reply.is_heard() => return Acknowledgement::Accepted,
                _ => {}
            }
            tries += 1;
            // What was refused and not lost is not worth a delay of the job: it is told again.
            if tries == ACKNOWLEDGE_TRIES || !reply.is_lost() {
                self.link.set_unaccepted();
                return Acknowledgement::Accepted;
            }
            tokio::time::sleep(pauses.after(reply.problem.as_ref(), true)).await;
        }
    }

    /// What the server wants of the job; changes are for the run to follow.
    pub fn directive(&self) -> watch::Receiver<Directive> {
        self.link.directive.subscribe()
    }

    /// Bytes of the log that the server has, as far as is known.
    pub fn acknowledged(&self) -> u64 {
        self.link.acknowledged()
    }

    /// Sends what is left of the log, which must be [finished](JobLog::finish), and then the final state, and tries again
    /// until the server has both or the tries are used up. Only the first final state counts. Cancel-safe: the task goes
    /// on, and the result can be asked for again.
    pub async fn finish(&self, state: FinalState) -> Delivery {
        // A full or closed queue means that the end is known already.
        let _ = self.orders.try_send(state);
        let mut delivery = self.delivery.clone();
        match delivery.wait_for(Option::is_some).await {
            Ok(done) => done.clone().unwrap_or(Delivery::Interrupted),
            Err(_) => Delivery::Interrupted,
        }
    }
}

impl SenderTask {
    /// Sends until the job's end is delivered or given up, or all handles are dropped.
    pub async fn run(mut self) {
        let link = self.uploads.link().clone();
        let finish = tokio::select! {
            biased;
            finish = self.uploads.run(&mut self.orders) => finish,
            never = keep_alive::run(&link) => match never {},
        };
        if let Some(state) = finish {
            let delivery = self.uploads.deliver(&state).await;
            tracing::debug!(?delivery, "the job's end");
            self.delivery.send_replace(Some(delivery));
        }
    }
}

impl FinalState {
    fn update(&self) -> JobUpdate {
        match self {
            Self::Success => JobUpdate::success(),
            Self::Failed { reason, exit_code } => {
                let update = JobUpdate::failed(reason.clone());
                exit_code.map_or(update.clone(), |code| update.with_exit_code(code))
            }
        }
    }
}

impl fmt::Debug for TraceSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceSender").field("acknowledged", &self.acknowledged()).finish_non_exhaustive()
    }
}

impl fmt::Debug for SenderTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SenderTask")
            .field("acknowledged", &self.uploads.link().acknowledged())
            .finish_non_exhaustive()
    }
}
