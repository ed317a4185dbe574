//! The run loop: asks GitLab for jobs, keeps slots, runs each job in a task of its own, and stops in order.
//!
//! ```text
//! journal entries of an earlier process ─► resolved first
//!                 │
//! one poller per request slot of each runner:
//!   own limit ─► `concurrent` ─► Provider::acquire ─► job request ─► journal ─► task of the job ─► polls again at once
//!                                                       │ no job                    │ ends
//!                                                       └─► pause, or a slot frees ◄─┘
//! ```
//!
//! The [`Manager`] owns the pollers and the jobs' tasks; everybody else talks to it through a [`ManagerHandle`].

mod builder;
mod handle;
mod health;
mod poller;
mod resolve;
mod shared;
mod slots;

pub use builder::{ManagerBuilder, RunnerEntry};
pub use handle::{ManagerHandle, RunningJob};

use std::sync::Arc;

use shared::Shared;

use crate::run::RunnerContext;
use crate::settings::PollSettings;

/// Runs jobs for one or more runners until it is told to stop.
#[derive(Debug)]
pub struct Manager {
    runners: Vec<(Arc<RunnerContext>, PollSettings)>,
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

    /// Resolves what an earlier process left, then polls and runs jobs until [`ManagerHandle::drain`] or
    /// [`ManagerHandle::interrupt`] was called and the last job has ended.
    ///
    /// # Cancel safety
    /// Dropping the future stops polling and leaves running jobs' tasks to the runtime; use the handle to stop in order.
    pub async fn run(self) {
        for (runner, _) in &self.runners {
            resolve::resolve(runner, &self.shared).await;
        }
        let mut pollers = Vec::new();
        for (runner, poll) in &self.runners {
            let limit = poller::limit(poll);
            for _ in 0..poll.request_concurrency.max(1) {
                pollers.push(poller::poll(
                    Arc::clone(runner),
                    poll.clone(),
                    limit.clone(),
                    Arc::clone(&self.shared),
                ));
            }
        }
        futures_util::future::join_all(pollers).await;
        self.shared.jobs_ended().await;
    }
}
