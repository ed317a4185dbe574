//! The run loop: asks GitLab for jobs, keeps slots, runs each job in a task of its own, and stops in order.
//!
//! ```text
//! journal entries of an earlier process ─► resolved first
//!                 │
//! per runner, as many pollers as it may have requests in flight:
//!   request place ─► own limit ─► `concurrent` ─► Provider::acquire ─► job request ─► journal ─► task of the job
//!         ▲                                                                │ no job                    │ ends
//!         └──────────────────── at once after a job; else after a pause ◄──┴──── which this ends ◄─────┘
//! ```
//!
//! Limits are queues: whoever asks first is served first, so that no runner waits for ever. The [`Manager`] owns the pollers
//! and the jobs' tasks; everybody else talks to it through a [`ManagerHandle`]. A panic in the task of one job, or in an
//! executor, fails that job and nothing else.

mod builder;
mod common;
mod handle;
mod health;
mod permits;
mod poller;
mod requests;
mod resolve;
mod runner;
mod shared;
mod writing;

pub use builder::{ManagerBuilder, RunnerEntry};
pub use handle::{ManagerHandle, RunningJob};

use std::sync::Arc;

use futures_util::future::join_all;
use resolve::Left;
use runner::Runner;
use shared::Shared;

use crate::journal::Journal;

/// Runs jobs for one or more runners until it is told to stop.
#[derive(Debug)]
pub struct Manager {
    runners: Vec<Arc<Runner>>,
    journal: Arc<dyn Journal>,
    shared: Arc<Shared>,
}

impl Manager {
    /// Starts to describe a manager.
    pub fn builder() -> ManagerBuilder {
        ManagerBuilder::default()
    }

    /// The way to talk to it while it runs.
    pub fn handle(&self) -> ManagerHandle {
        ManagerHandle::new(Arc::clone(&self.shared))
    }

    /// Resolves what an earlier process left: its jobs go on where that is possible. Polls and runs jobs until
    /// [`ManagerHandle::drain`], [`detach`](ManagerHandle::detach) or [`interrupt`](ManagerHandle::interrupt) was called and the last
    /// job has ended or is left to the next process. Each runner polls as soon as it is known what becomes of its own earlier jobs.
    ///
    /// # Cancel safety
    /// Dropping the future stops polling and leaves running jobs' tasks to the runtime; use the handle to stop in order.
    pub async fn run(self) {
        let mut left = Left::read(&*self.journal, &self.runners);
        let runners = self.runners.iter().map(|runner| {
            let left = left.take(runner);
            let (runner, shared) = (Arc::clone(runner), Arc::clone(&self.shared));
            async move {
                resolve::resolve(&runner, &shared, left).await;
                let pollers = 0..runner.poll.request_concurrency.max(1);
                join_all(pollers.map(|_| poller::poll(Arc::clone(&runner), Arc::clone(&shared)))).await;
            }
        });
        join_all(runners).await;
        // A manager without runners waits, too.
        self.shared.stop.cancelled().await;
        self.shared.jobs_ended().await;
    }
}
