//! Sends the log while the job runs.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use runner_api::{JobUpdate, PatchResult, UpdateResult};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::FinalState;
use super::api::Problem;
use super::link::Link;
use super::pauses::Pauses;

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
    pauses: Pauses,
    /// The server asked not to be sent anything before.
    not_before: Option<Instant>,
    /// Mismatches in a row.
    repairs: u32,
}

/// What is sent at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Burst {
    Everything,
    /// What fills PATCHes of full size.
    WholePieces,
}

/// What became of one PATCH.
#[derive(Debug)]
pub(super) enum Step {
    /// The server has more, or it is known better what it has.
    Forward,
    /// The server does not know the job.
    NotFound(Duration),
    /// Not now.
    Failed(Miss),
    /// Never.
    Refused(String),
}

/// Why something did not go through.
#[derive(Debug)]
pub(super) struct Miss {
    pub(super) problem: String,
    /// Whether the same may go through after `pause`; otherwise it needs another try.
    pub(super) may_pass: bool,
    pub(super) pause: Duration,
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
            pauses: Pauses::default(),
            not_before: None,
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

    /// Waits after failures, of the trace and of what is told beside it.
    pub(super) fn pauses(&mut self) -> &mut Pauses {
        &mut self.pauses
    }

    /// Sends a burst per interval until the job's end is ordered, and whole pieces as soon as they are there: later they would
    /// be the same requests. `None`: nobody is left to order it.
    pub(super) async fn run(&mut self, orders: &mut mpsc::Receiver<FinalState>) -> Option<FinalState> {
        /// When the next burst may begin.
        #[derive(Clone, Copy)]
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
                    Next::IntervalSince(start) => tokio::select! {
                        biased;
                        () = self.link.interval_since(start) => {}
                        () = self.link.log.beyond(self.acknowledged + MAX_PIECE - 1) => return Burst::WholePieces,
                    },
                    Next::At(time) => tokio::time::sleep_until(time).await,
                }
                Burst::Everything
            };
            let burst = tokio::select! {
                biased;
                finish = orders.recv() => return finish,
                burst = ready => burst,
            };
            let start = Instant::now();
            next = match (self.burst(burst).await, burst) {
                (ControlFlow::Continue(()), Burst::Everything) => Next::IntervalSince(start),
                (ControlFlow::Continue(()), Burst::WholePieces) => next,
                (ControlFlow::Break(pause), _) => Next::At(Instant::now() + pause),
            };
        }
    }

    /// Sends what is there now. Broken off by a failure: the time to wait before the next try.
    async fn burst(&mut self, burst: Burst) -> ControlFlow<Duration> {
        let mut len = self.link.log.publish().await.len;
        if burst == Burst::WholePieces {
            len -= len.saturating_sub(self.acknowledged) % MAX_PIECE;
        }
        while !self.has_all(len) {
            match self.step(len).await {
                Step::Forward => {}
                Step::NotFound(pause) => return ControlFlow::Break(pause),
                Step::Failed(Miss { problem, pause, .. }) => {
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
        if let Some(time) = self.not_before.take() {
            tokio::time::sleep_until(time).await;
        }
        if self.link.is_unaccepted()
            && let Some(step) = self.accept().await
        {
            return step;
        }
        let piece = if self.unknown { 1 } else { self.piece };
        let end = len.min(self.acknowledged + piece);
        let bytes = match self.link.log.read(self.acknowledged..end).await {
            Ok(bytes) => bytes,
            Err(error) => {
                let problem = format!("cannot read the log: {error}");
                return Step::Failed(Miss {
                    problem,
                    may_pass: false,
                    pause: self.pauses.after(None, false),
                });
            }
        };
        let reply = self.link.patch(self.acknowledged, bytes, self.timeout).await;
        match reply.result {
            PatchResult::Accepted { end } => {
                self.forward(end);
                self.pauses.reset();
                self.repairs = 0;
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
            PatchResult::NotFound => Step::NotFound(self.pause_after(reply.problem.as_ref(), false)),
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
        // A trace may be locked for a moment, and a piece that is too large is sent smaller.
        let may_pass =
            problem.is_some_and(|problem| problem.may_pass() || matches!(problem.status, Some(409 | 413)));
        Step::Failed(Miss { problem: text, may_pass, pause: self.pause_after(problem, may_pass) })
    }

    fn pause_after(&mut self, problem: Option<&Problem>, may_pass: bool) -> Duration {
        let pause = self.pauses.after(problem, may_pass);
        if problem.is_some_and(|problem| problem.retry_after.is_some()) {
            self.not_before = Some(Instant::now() + pause);
        }
        pause
    }

    /// Tells that the job was accepted, which the server may not have heard: it takes no log before, and no end. `None`: it has
    /// heard, or does not want to.
    pub(super) async fn accept(&mut self) -> Option<Step> {
        let reply = self.link.update(&JobUpdate::running()).await;
        if reply.is_lost() {
            let text = reply.problem.as_ref().map_or_else(String::new, Problem::to_string);
            return Some(self.failed(reply.problem.as_ref(), text));
        }
        self.pauses.reset();
        match (reply.result, reply.problem) {
            (UpdateResult::Abort, Some(problem)) => {
                self.refused = true;
                Some(Step::Refused(problem.text))
            }
            _ => None,
        }
    }

    /// The server's log is not what it should be: everything again.
    pub(super) fn restart(&mut self) {
        self.refused = false;
        self.forward(0);
    }
}
