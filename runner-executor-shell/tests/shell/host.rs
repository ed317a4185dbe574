//! [`Host`]: a provider in a folder of its own, for tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use runner_core::executor::{
    Environment, EnvironmentError, FollowEvent, FollowStream, Handle, JobContext, JobKey, Location, Notices,
    OutputFrame, Place, PrepareRequest, Provider as _, Slots, StageEnd, StageInput, StageKey,
};
use runner_core::variables::Variables;
use runner_executor_shell::{ShellConfig, ShellProvider};
use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A machine's worth of folders. When it is dropped no process of any of its stages may be left.
pub(crate) struct Host {
    temp: TempDir,
    pub(crate) config: ShellConfig,
    pub(crate) provider: ShellProvider,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut ShellConfig)) -> Self {
        let temp = TempDir::new().unwrap();
        let at = |name: &str| temp.path().join(name);
        let mut config = ShellConfig::new(at("state"), at("builds"), at("cache"), vec![helper()]);
        config.leftover_grace = Duration::from_millis(100);
        // Login shells read profiles; those of the user who runs the tests are of no interest.
        config.environment.push(("HOME".into(), temp.path().to_str().unwrap().to_owned()));
        for name in ["ready", "go"] {
            let path = at(name);
            mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
            config.environment.push((name.to_uppercase(), path.to_str().unwrap().to_owned()));
        }
        change(&mut config);
        Self { provider: ShellProvider::new(config.clone()), temp, config }
    }

    /// A provider as the next manager on this machine would make it.
    pub(crate) fn next_provider(&self) -> ShellProvider {
        ShellProvider::new(self.config.clone())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    /// A prepared environment for a job.
    pub(crate) async fn job(&self, id: u64) -> Box<dyn Environment> {
        let reservation = self.provider.acquire().await.unwrap();
        let environment = self.provider.environment(&reservation, &context(id)).unwrap();
        prepare(environment.as_ref()).await.unwrap();
        environment
    }

    /// Waits for a line that a script writes into `$READY`.
    pub(crate) async fn ready(&self) -> String {
        tokio::fs::read_to_string(self.path("ready")).await.unwrap()
    }

    /// Lets a script go on that reads from `$GO`.
    pub(crate) async fn let_go(&self) {
        tokio::fs::write(self.path("go"), "go\n").await.unwrap();
    }

    /// Number of the supervisor's process.
    pub(crate) fn supervisor(&self, job: u64, key: &StageKey) -> i32 {
        let lock = self.stage_folder(job, key).join("lock");
        fs::read_to_string(lock).unwrap().trim().parse().unwrap()
    }

    pub(crate) fn kill_supervisor(&self, job: u64, key: &StageKey) {
        kill_process(Pid::from_raw(self.supervisor(job, key)).unwrap(), Signal::KILL).unwrap();
    }

    pub(crate) fn job_folder(&self, job: u64) -> PathBuf {
        self.config.state_dir.join(format!("runner-abc-job-{job}"))
    }

    pub(crate) fn stage_folder(&self, job: u64, key: &StageKey) -> PathBuf {
        self.job_folder(job).join(key.slug())
    }

    /// Processes of this host's stages that are there now.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let marker = format!("RUNNER_STAGE_FOLDER={}", self.config.state_dir.display());
        let has_marker = |path: &Path| {
            let environment = fs::read(path.join("environ")).unwrap_or_default();
            environment.windows(marker.len()).any(|window| window == marker.as_bytes())
        };
        fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let pid = entry.file_name().to_str()?.parse().ok()?;
                has_marker(&entry.path()).then_some(pid)
            })
            .collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let left = self.processes();
        for pid in &left {
            let _ = kill_process(Pid::from_raw(*pid).unwrap(), Signal::KILL);
        }
        if !std::thread::panicking() {
            assert!(left.is_empty(), "processes left: {left:?}");
        }
    }
}

/// The example `helper` of this crate, built beside the tests.
fn helper() -> String {
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent().unwrap().parent().unwrap().join("examples/helper");
    assert!(path.exists(), "{} is built by `cargo test` without a choice of targets", path.display());
    path.to_str().unwrap().to_owned()
}

pub(crate) fn context(id: u64) -> JobContext {
    let payload = serde_json::json!({ "id": id, "token": "job-token" });
    JobContext {
        key: JobKey { runner: "abc".into(), job: id },
        job: Arc::new(runner_api::Job::from_json(payload.to_string()).unwrap()),
        variables: Variables::default(),
        slots: Slots { runner: 0, project: 0 },
        timeout: Duration::from_secs(3600),
    }
}

pub(crate) async fn prepare(environment: &dyn Environment) -> Result<Place, EnvironmentError> {
    let (notices, _lines) = Notices::channel();
    environment.prepare(PrepareRequest::new(1), notices, CancellationToken::new()).await
}

pub(crate) fn stage(ordinal: u16) -> StageKey {
    StageKey::new(ordinal, "step_script", 1)
}

pub(crate) fn script(text: &str) -> StageInput {
    StageInput { script: text.to_owned(), location: Location::Job, secrets: Vec::new() }
}

pub(crate) async fn next_frame(stream: &mut FollowStream) -> OutputFrame {
    match stream.next().await {
        Some(FollowEvent::Frame(frame)) => frame,
        other => panic!("a frame, not {other:?}"),
    }
}

/// All frames and the end.
pub(crate) async fn read_all(mut stream: FollowStream) -> (Vec<OutputFrame>, StageEnd) {
    let mut frames = Vec::new();
    loop {
        match stream.next().await.expect("an end") {
            FollowEvent::Frame(frame) => frames.push(frame),
            FollowEvent::Ended(end) => {
                assert!(stream.next().await.is_none(), "nothing follows the end");
                return (frames, end);
            }
            FollowEvent::Broken(error) => panic!("{error}"),
        }
    }
}

pub(crate) fn text(frames: &[OutputFrame]) -> String {
    String::from_utf8(frames.iter().flat_map(|frame| frame.bytes.to_vec()).collect()).unwrap()
}

/// What broke a stream.
pub(crate) async fn broken(mut stream: FollowStream) -> String {
    loop {
        match stream.next().await.expect("an end") {
            FollowEvent::Frame(_) => {}
            FollowEvent::Broken(error) => {
                assert!(stream.next().await.is_none(), "nothing follows the end");
                return error.to_string();
            }
            FollowEvent::Ended(end) => panic!("{end}"),
        }
    }
}

/// The handle after a journey through a journal.
pub(crate) fn journaled(handle: &Handle) -> Handle {
    serde_json::from_str(&serde_json::to_string(handle).unwrap()).unwrap()
}
