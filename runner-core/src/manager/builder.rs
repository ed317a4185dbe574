//! Describing a manager.

use std::sync::Arc;

use runner_api::Client;

use super::Manager;
use super::common::Common;
use super::runner::Runner;
use super::shared::Shared;
use crate::executor::Provider;
use crate::journal::Journal;
use crate::observe::{NoObserver, Observer};
use crate::run::RunnerContext;
use crate::session::{NoSessions, Sessions};
use crate::settings::{JobSettings, PollSettings, RunnerIdentity};
use crate::task::{Spawner, TokioSpawner};
use crate::time::{Clock, SystemClock};
use crate::variables::{Program, TlsFiles};

/// One runner: who it is, how it asks, how it treats jobs, and where they run.
#[derive(Debug)]
pub struct RunnerEntry {
    /// Who it is.
    pub identity: RunnerIdentity,
    /// How it asks for jobs.
    pub poll: PollSettings,
    /// How it treats them.
    pub job: JobSettings,
    /// Where they run.
    pub provider: Arc<dyn Provider>,
    /// Its client. What the runner promises to GitLab is filled in by the manager.
    pub client: Client,
    /// Certificates that jobs need to reach GitLab, in case the client's transport does not tell.
    pub tls: TlsFiles,
}

/// Describes a [`Manager`].
#[derive(Debug, Default)]
#[must_use]
pub struct ManagerBuilder {
    entries: Vec<RunnerEntry>,
    concurrent: Option<usize>,
    clock: Option<Arc<dyn Clock>>,
    spawner: Option<Arc<dyn Spawner>>,
    observer: Option<Arc<dyn Observer>>,
    sessions: Option<Arc<dyn Sessions>>,
}

impl ManagerBuilder {
    /// Adds a runner.
    pub fn runner(mut self, entry: RunnerEntry) -> Self {
        self.entries.push(entry);
        self
    }

    /// Jobs of all runners together, at least 1; 1 when not given.
    pub fn concurrent(mut self, jobs: usize) -> Self {
        self.concurrent = Some(jobs);
        self
    }

    /// The clock that stamps logs and journals; this machine's when not given.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Who runs the tasks of jobs; tokio's runtime when not given.
    pub fn spawner(mut self, spawner: Arc<dyn Spawner>) -> Self {
        self.spawner = Some(spawner);
        self
    }

    /// Who hears of what happens to jobs; nobody when not given.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Where users reach jobs while they run; nowhere when not given.
    pub fn sessions(mut self, sessions: Arc<dyn Sessions>) -> Self {
        self.sessions = Some(sessions);
        self
    }

    /// Makes the manager. `journal` is where accepted jobs are written down; `program` is what the manager calls itself.
    pub fn build(self, journal: &Arc<dyn Journal>, program: &Program) -> Manager {
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock));
        let observer = self.observer.unwrap_or_else(|| Arc::new(NoObserver));
        let sessions = self.sessions.unwrap_or_else(|| Arc::new(NoSessions));
        let runners = self.entries.into_iter().map(|entry| {
            let context = RunnerContext {
                client: entry.client.with_info(crate::run::info(&*entry.provider, program)),
                identity: entry.identity,
                settings: Arc::new(entry.job),
                provider: entry.provider,
                program: program.clone(),
                tls: entry.tls,
                journal: Arc::clone(journal),
                clock: Arc::clone(&clock),
                observer: Arc::clone(&observer),
                sessions: Arc::clone(&sessions),
            };
            Arc::new(Runner::new(context, entry.poll))
        });
        let runners: Vec<_> = runners.collect();
        let spawner = self.spawner.unwrap_or_else(|| Arc::new(TokioSpawner));
        let keys = runners.iter().map(|runner| runner.key().to_owned());
        let common = Common::new(self.concurrent.unwrap_or(1), keys);
        Manager { runners, journal: Arc::clone(journal), shared: Arc::new(Shared::new(common, spawner)) }
    }
}
