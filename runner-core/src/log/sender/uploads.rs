//! Sends the log while the job runs.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use runner_api::PatchResult;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::FinalState;
use super::api::Problem;
use super::link::{Link, backoff};

/// The most bytes of one PATCH.
const MAX_PIECE: u64 = 1024 * 1024;

/// The fewest bytes to which a PATCH is made smaller when it takes too long.
const MIN_PIECE: u64 = 64 * 1024;

/// The longest time for one PATCH.
const MAX_TIMEOUT: Duration = Duration::from_secs(80);

/// Mismatches in a row after which repairing does not seem to help.
const MAX_REPAIRS: u32 = 4;

/// Owns what the server has.
#[derive(Debug)]
pub(super) struct Uploads {
    link: Arc<Link>,
    /// So many bytes the server has.
    acknowledged: u64,
    /// What the server has is not known: ask with a single byte.
    unknown: bool,
    /// The server refuses the log of this job.
    refused: bool,
    piece: u64,
    timeout: Duration,
    /// Failures and mismatches in a row.
    failures: u32,
    repairs: u32,
}

/// What became of one PATCH.
#[derive(Debug)]
pub(super) enum Step {
    /// The server has more, or it is known better what it has.
    Forward,
    /// The server does not know the job.
    NotFound(Duration),
    /// Not now; wait so long.
    Failed(Duration, String),
    /// Never.
    Refused(String),
}

impl Uploads {
    pub(super) fn new(link: Arc<Link>) -> Self {
        let (unknown, timeout) = (link.log.recovered() > 0, link.settings.patch_timeout);
        Self {
            link,
            acknowledged: 0,
            unknown,
            refused: false,
            piece: MAX_PIECE,
            timeout,
            failures: 0,
            repairs: 0,
        }
    }

    pub(super) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Whether the server has everything up to `len`.
    pub(super) fn has_all(&self, len: u64) -> bool {
        !self.unknown && self.acknowledged >= len
    }

    /// Whether the server refuses the log.
    pub(super) fn is_refused(&self) -> bool {
        self.refused
    }

    /// Failures are counted afresh: waiting begins with short pauses again.
    pub(super) fn forget_failures(&mut self) {
        self.failures = 0;
    }

    /// Sends a burst per interval until the job's end is ordered. `None`: nobody is left to order it.
    pub(super) async fn run(&mut self, orders: &mut mpsc::Receiver<FinalState>) -> Option<FinalState> {
        /// When the next burst may begin.
        enum Next {
            Now,
            IntervalSince(Instant),
            At(Instant),
        }
        let mut next = Next::Now;
        loop {
            let ready = async {
                if self.refused {
                    std::future::pending::<()>().await;
                }
                self.link.log.beyond(self.acknowledged).await;
                match next {
                    Next::Now => {}
                    Next::IntervalSince(start) => self.link.interval_since(start).await,
                    Next::At(time) => tokio::time::sleep_until(time).await,
                }
            };
            tokio::select! {
                biased;
                finish = orders.recv() => return finish,
                () = ready => {}
            }
            let start = Instant::now();
            next = match self.burst().await {
                ControlFlow::Continue(()) => Next::IntervalSince(start),
                ControlFlow::Break(pause) => Next::At(Instant::now() + pause),
            };
        }
    }

    /// Sends everything that is there now. Broken off by a failure: the time to wait before the next try.
    async fn burst(&mut self) -> ControlFlow<Duration> {
        let len = self.link.log.publish().await.len;
        while !self.has_all(len) {
            match self.step(len).await {
                Step::Forward => {}
                Step::NotFound(pause) => return ControlFlow::Break(pause),
                Step::Failed(pause, problem) => {
                    tracing::debug!(%problem, ?pause, "the log was not taken; trying again");
                    return ControlFlow::Break(pause);
                }
                Step::Refused(problem) => {
                    tracing::debug!(%problem, "the log is refused");
                    return ControlFlow::Continue(());
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Sends one piece of the log's first `len` bytes.
    pub(super) async fn step(&mut self, len: u64) -> Step {
        let piece = if self.unknown { 1 } else { self.piece };
        let end = len.min(self.acknowledged + piece);
        let bytes = match self.link.log.read(self.acknowledged..end).await {
            Ok(bytes) => bytes,
            Err(error) => return self.failed(None, format!("cannot read the log: {error}")),
        };
        let reply = self.link.patch(self.acknowledged, bytes, self.timeout).await;
        match reply.result {
            PatchResult::Accepted { end } => {
                self.forward(end);
                (self.failures, self.repairs) = (0, 0);
                self.piece = (self.piece * 2).min(MAX_PIECE);
                self.timeout = self.link.settings.patch_timeout;
                Step::Forward
            }
            PatchResult::RangeMismatch { server_len } => self.repair(server_len, len),
            PatchResult::Abort => match reply.problem {
                // It was taken all the same.
                None => {
                    self.forward(end);
                    Step::Forward
                }
                Some(problem) => {
                    self.refused = true;
                    Step::Refused(problem.text)
                }
            },
            PatchResult::NotFound => {
                self.failures += 1;
                Step::NotFound(backoff(self.failures, reply.problem.as_ref()))
            }
            _ => {
                let text =
                    reply.problem.as_ref().map_or_else(|| "no reason given".to_owned(), Problem::to_string);
                // No answer in time, or too large: smaller pieces and more time.
                if reply.problem.as_ref().is_some_and(|problem| matches!(problem.status, None | Some(413))) {
                    self.piece = (self.piece / 2).max(MIN_PIECE);
                    self.timeout = (self.timeout * 2).min(MAX_TIMEOUT);
                }
                self.failed(reply.problem.as_ref(), text)
            }
        }
    }

    /// The server's log has another length than was thought: goes on from there, at once.
    fn repair(&mut self, server_len: u64, len: u64) -> Step {
        if server_len > len {
            // Nothing that this runner sends can change what is there; what comes behind it still can be added.
            tracing::warn!(server_len, len, "the server has more of the log than there is");
        }
        self.repairs += 1;
        let again = self.repairs > MAX_REPAIRS || (server_len == self.acknowledged && !self.unknown);
        self.forward(server_len);
        if again {
            return self.failed(None, format!("the server insists that its log has {server_len} bytes"));
        }
        Step::Forward
    }

    fn forward(&mut self, acknowledged: u64) {
        self.acknowledged = acknowledged;
        self.unknown = false;
        self.link.set_acknowledged(acknowledged);
    }

    fn failed(&mut self, problem: Option<&Problem>, text: String) -> Step {
        self.failures += 1;
        Step::Failed(backoff(self.failures, problem), text)
    }

    /// The server's log is not what it should be: everything again.
    pub(super) fn restart(&mut self) {
        self.refused = false;
        self.forward(0);
    }
}
