//! A manager at work, with GitLab and a state folder around it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use runner_api::ClientBuilder;
use runner_api::retry::RetryPolicy;
use runner_coordinator::core::{Coordinator, Options};
use runner_coordinator::http::{Server, ServerOptions};
use runner_core::executor::Provider;
use runner_core::journal::{Entry, FileJournal, Journal};
use runner_core::manager::{Manager, ManagerBuilder, ManagerHandle, RunnerEntry};
use runner_core::settings::{JobSettings, PollSettings, RunnerIdentity};
use runner_core::task::{BlockingWork, Spawner, Task};
use runner_core::time::Clock;
use runner_core::variables::{Program, TlsFiles};
use tokio::task::{JoinHandle, JoinSet};

use super::GitLab;
use super::gitlab::InProcessTransport;

/// GitLab and a state folder. Managers come and go.
#[derive(Debug)]
pub(crate) struct Rig {
    pub(crate) gitlab: GitLab,
    folder: tempfile::TempDir,
    server: Option<Server>,
}

/// A manager whose tasks can be ended all at once, as if it were a process.
#[derive(Debug)]
pub(crate) struct Mortal {
    pub(crate) handle: ManagerHandle,
    tasks: Arc<Tasks>,
}

#[derive(Debug, Default)]
struct Tasks(Mutex<JoinSet<()>>);

impl Spawner for Tasks {
    fn spawn(&self, task: Task) {
        self.0.lock().unwrap().spawn(task);
    }

    fn spawn_blocking(&self, work: BlockingWork) {
        work();
    }
}

impl Mortal {
    /// Ends it without a word.
    pub(crate) async fn dies(self) {
        let mut tasks = std::mem::take(&mut *self.tasks.0.lock().unwrap());
        tasks.shutdown().await;
    }

    /// Waits for the end of the last task.
    pub(crate) async fn ended(self) {
        loop {
            let mut tasks = std::mem::take(&mut *self.tasks.0.lock().unwrap());
            if tasks.is_empty() {
                return;
            }
            while let Some(ended) = tasks.join_next().await {
                ended.unwrap();
            }
        }
    }

    /// Takes no more jobs, waits for the last one.
    pub(crate) async fn drain(self) {
        self.handle.drain();
        self.ended().await;
    }

    /// Leaves its jobs to the next one.
    pub(crate) async fn detach(self) {
        self.handle.detach();
        self.ended().await;
    }
}

/// A manager that runs in a task.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) handle: ManagerHandle,
    pub(crate) task: JoinHandle<()>,
}

impl Rig {
    /// Virtual time: for tests whose clock is paused. Job requests are not held.
    pub(crate) fn in_process() -> Self {
        Self::in_process_with(Options { long_poll: Duration::ZERO, ..Options::default() })
    }

    pub(crate) fn in_process_with(options: Options) -> Self {
        let options = Options { record_requests: true, ..options };
        let gitlab = GitLab::in_process(Coordinator::new(options));
        Self { gitlab, folder: tempfile::tempdir().unwrap(), server: None }
    }

    /// Real sockets. What to send next is up to the runner's settings.
    pub(crate) async fn over_http() -> Self {
        let options = Options {
            watched_interval: Duration::ZERO,
            held_requests_get_jobs: true,
            record_requests: true,
            ..Options::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let artifacts = folder.path().join("artifacts");
        std::fs::create_dir(&artifacts).unwrap();
        let address = ([127, 0, 0, 1], 0).into();
        let coordinator = Coordinator::new(options);
        let server = Server::bind(address, coordinator, ServerOptions::new(artifacts)).await.unwrap();
        Self { gitlab: GitLab::Http(server.handle()), folder, server: Some(server) }
    }

    /// An empty folder for a test's own use.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Where the manager keeps its journal.
    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// A runner with a token from GitLab.
    pub(crate) fn entry(&self, token: &str, provider: impl Provider + 'static) -> RunnerEntry {
        let virtual_time = matches!(self.gitlab, GitLab::InProcess(_));
        let url = match &self.server {
            Some(server) => server.url(),
            None => "http://gitlab.test".to_owned(),
        };
        let mut client = ClientBuilder::new(&url).unwrap();
        if let GitLab::InProcess(own) = &self.gitlab {
            client = client.transport(InProcessTransport(Arc::clone(own)));
            client = client.retry(RetryPolicy::default().with_jitter_seed(7));
        }
        let fast = JobSettings {
            trace_interval: Duration::from_millis(20),
            grace: Duration::from_secs(5),
            ..JobSettings::default()
        };
        RunnerEntry {
            identity: RunnerIdentity {
                name: "under test".into(),
                url: url.parse().unwrap(),
                token: token.into(),
                system_id: "s_0123456789ab".into(),
            },
            poll: PollSettings {
                check_interval: if virtual_time { Duration::from_secs(3) } else { Duration::from_millis(20) },
                ..PollSettings::default()
            },
            job: if virtual_time { JobSettings::default() } else { fast },
            provider: Arc::new(provider),
            client: client.build().unwrap(),
            tls: TlsFiles::default(),
        }
    }

    /// Starts a manager with one runner that takes every job, up to ten at a time.
    pub(crate) fn start(&self, provider: impl Provider + 'static) -> Running {
        let token = self.gitlab.create_runner();
        self.start_with(Manager::builder().runner(self.entry(&token, provider)).concurrent(10))
    }

    /// Starts a manager in a task.
    pub(crate) fn start_with(&self, builder: ManagerBuilder) -> Running {
        let manager = self.build(builder);
        Running { handle: manager.handle(), task: tokio::spawn(manager.run()) }
    }

    /// Starts a manager that can die.
    pub(crate) fn start_mortal(&self, builder: ManagerBuilder) -> Mortal {
        let tasks = Arc::new(Tasks::default());
        let manager = self.build(builder.spawner(Arc::clone(&tasks) as Arc<dyn Spawner>));
        let handle = manager.handle();
        tasks.spawn(Box::pin(manager.run()));
        Mortal { handle, tasks }
    }

    /// A manager with the journal in the state folder.
    pub(crate) fn build(&self, builder: ManagerBuilder) -> Manager {
        let journal: Arc<dyn Journal> = Arc::new(FileJournal::open(self.state()).unwrap());
        self.build_on(builder, &journal)
    }

    pub(crate) fn build_on(&self, builder: ManagerBuilder, journal: &Arc<dyn Journal>) -> Manager {
        self.build_with(builder, journal, self.gitlab.clock())
    }

    /// A manager with a clock of its own.
    pub(crate) fn build_with(
        &self,
        builder: ManagerBuilder,
        journal: &Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
    ) -> Manager {
        let program =
            Program { version: "1.2.3".into(), revision: "01234567".into(), platform: "linux/amd64".into() };
        builder.clock(clock).build(journal, &program)
    }

    /// What the journal holds while no manager has it open.
    pub(crate) fn journaled(&self) -> Vec<Entry> {
        FileJournal::open(self.state()).unwrap().entries().unwrap()
    }

    /// Nothing is left, and nothing odd was sent.
    pub(crate) async fn end(self) {
        assert!(self.journaled().is_empty(), "{:?}", self.journaled());
        self.gitlab.assert_nothing_odd();
        if let Some(server) = self.server {
            server.shutdown().await;
        }
    }
}

impl Running {
    /// Takes no more jobs, waits for the last one.
    pub(crate) async fn drain(self) {
        self.handle.drain();
        self.ended().await;
    }

    /// Waits for the manager's end.
    pub(crate) async fn ended(self) {
        self.task.await.unwrap();
    }
}
