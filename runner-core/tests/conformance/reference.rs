//! A full executor in the memory of the test: what broken ones are made of.
//!
//! Stages are real shells; their output and ends are kept in the [`World`], which outlives providers.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures_util::stream;
use runner_api::Features;
use runner_core::executor::{
    AcquireError, Adopter, Adoption, Capabilities, Capacity, Cause, CleanupReason, Environment,
    EnvironmentError, FollowEvent, FollowStream, Handle, Janitor, JobContext, JobKey, Notices, Orphan,
    OutputFrame, OutputStream, Place, PrepareRequest, Provider, ProviderInfo, Remains, Reservation, Shell,
    StageEnd, StageInput, StageKey, StageStatus, Started, Stop,
};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use secrecy::ExposeSecret as _;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Room for jobs.
pub(crate) const ROOM: u32 = 4;

/// A machine.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) temp: tempfile::TempDir,
    jobs: Mutex<HashMap<JobKey, Arc<Job>>>,
    pub(crate) room: watch::Sender<Capacity>,
}

#[derive(Debug, Default)]
struct Job {
    stages: Mutex<HashMap<StageKey, Arc<Stage>>>,
}

#[derive(Debug)]
struct Stage {
    frames: Mutex<Vec<OutputFrame>>,
    end: Mutex<Option<StageEnd>>,
    changed: watch::Sender<()>,
    group: Pid,
}

impl World {
    pub(crate) fn new() -> Arc<Self> {
        let room = watch::Sender::new(Capacity { more: Some(ROOM), why: None });
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir(temp.path().join("state")).unwrap();
        Arc::new(Self { temp, jobs: Mutex::default(), room })
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.temp.path().join("state")
    }

    pub(crate) fn builds(&self, key: &JobKey) -> PathBuf {
        self.temp.path().join(format!("{key}-builds"))
    }

    fn remove(&self, key: &JobKey) {
        if let Some(job) = self.jobs.lock().unwrap().remove(key) {
            for stage in job.stages.lock().unwrap().values() {
                stage.kill();
            }
        }
        for folder in [self.state().join(key.to_string()), self.builds(key)] {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

impl Stage {
    fn end(&self) -> Option<StageEnd> {
        *self.end.lock().unwrap()
    }

    fn kill(&self) {
        if self.end().is_none() {
            let _ = kill_process_group(self.group, Signal::KILL);
        }
    }
}

/// The provider; `fails`: its places cannot be made.
#[derive(Debug)]
pub(crate) struct Reference {
    pub(crate) world: Arc<World>,
    pub(crate) fails: bool,
}

#[async_trait]
impl Provider for Reference {
    fn info(&self) -> ProviderInfo {
        let mut features = Features::default();
        features.variables = true;
        let capabilities = Capabilities { replay: true, adoption: true };
        ProviderInfo { executor: "reference".into(), shell: "sh".into(), features, capabilities }
    }

    fn capacity(&self) -> watch::Receiver<Capacity> {
        self.world.room.subscribe()
    }

    async fn acquire(&self) -> Result<Reservation, AcquireError> {
        let taken = self.world.room.send_if_modified(|room| match room.more {
            Some(more) if more > 0 => {
                room.more = Some(more - 1);
                true
            }
            _ => false,
        });
        if taken { Ok(Reservation::new("room")) } else { Err(AcquireError::NoCapacity("all taken".into())) }
    }

    async fn release(&self, _: Reservation) {
        self.world.room.send_modify(|room| room.more = room.more.map(|more| more + 1));
    }

    fn environment(
        &self,
        _: &Reservation,
        job: &JobContext,
    ) -> Result<Box<dyn Environment>, EnvironmentError> {
        let (world, key) = (Arc::clone(&self.world), job.key.clone());
        Ok(Box::new(OnePlace { world, key, fails: self.fails }))
    }

    fn adopter(&self) -> Option<&dyn Adopter> {
        Some(self)
    }

    fn janitor(&self) -> Option<&dyn Janitor> {
        Some(self)
    }
}

#[async_trait]
impl Adopter for Reference {
    async fn adopt(&self, handle: &Handle, job: &JobContext) -> Result<Adoption, EnvironmentError> {
        let named = handle.value()["job"] == job.key.to_string();
        if handle.executor() != "reference" || !named {
            return Ok(Adoption::NotOurs);
        }
        if !self.world.jobs.lock().unwrap().contains_key(&job.key) {
            return Ok(Adoption::Gone(EnvironmentError::new(Cause::System, "the job is gone")));
        }
        let (world, key) = (Arc::clone(&self.world), job.key.clone());
        Ok(Adoption::Live(Box::new(OnePlace { world, key, fails: false })))
    }
}

#[async_trait]
impl Janitor for Reference {
    async fn scan(&self, live: &[JobKey]) -> Result<Vec<Orphan>, EnvironmentError> {
        let jobs = self.world.jobs.lock().unwrap();
        let orphans = jobs.keys().filter(|key| !live.contains(key));
        Ok(orphans.map(|key| Orphan { job: Some(key.clone()), location: key.to_string() }).collect())
    }

    async fn reap(&self, orphan: &Orphan) -> Result<(), EnvironmentError> {
        if let Some(key) = &orphan.job {
            self.world.remove(key);
        }
        Ok(())
    }
}

/// One job's place.
#[derive(Debug)]
struct OnePlace {
    world: Arc<World>,
    key: JobKey,
    fails: bool,
}

impl OnePlace {
    fn stage(&self, key: &StageKey) -> Option<Arc<Stage>> {
        self.world.jobs.lock().unwrap().get(&self.key)?.stages.lock().unwrap().get(key).cloned()
    }
}

#[async_trait]
impl Environment for OnePlace {
    fn handle(&self) -> Handle {
        Handle::new("reference", serde_json::json!({ "job": self.key.to_string() }))
    }

    async fn prepare(
        &self,
        _: PrepareRequest,
        notices: Notices,
        cancel: CancellationToken,
    ) -> Result<Place, EnvironmentError> {
        notices.plain("Using the reference executor...").await;
        tokio::task::yield_now().await;
        if cancel.is_cancelled() {
            return Err(EnvironmentError::new(Cause::Canceled, "preparing was canceled"));
        }
        if self.fails {
            return Err(EnvironmentError::new(Cause::System, "cannot make the place: as asked"));
        }
        self.world.jobs.lock().unwrap().entry(self.key.clone()).or_default();
        let builds = self.world.builds(&self.key);
        fs::create_dir_all(self.world.state().join(self.key.to_string())).unwrap();
        fs::create_dir_all(&builds).unwrap();
        Ok(Place {
            builds_dir: builds.to_str().unwrap().into(),
            cache_dir: builds.join("cache").to_str().unwrap().into(),
            shared: false,
            shell: Shell::Sh,
            helper: Vec::new(),
            os: "linux".into(),
            hostname: None,
        })
    }

    async fn start(&self, key: &StageKey, input: StageInput) -> Result<Started, EnvironmentError> {
        let not_prepared = || EnvironmentError::new(Cause::System, "the place is not prepared");
        let job = self.world.jobs.lock().unwrap().get(&self.key).cloned().ok_or_else(not_prepared)?;
        let mut stages = job.stages.lock().unwrap();
        if let Some(stage) = stages.get(key) {
            return Ok(if stage.end().is_some() { Started::Ended } else { Started::Running });
        }
        let script = self.world.state().join(self.key.to_string()).join(stages.len().to_string());
        fs::write(&script, &input.script).unwrap();
        let mut command = Command::new("sh");
        command.arg(&script).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0);
        for secret in &input.secrets {
            match &secret.file {
                None => drop(command.env(&secret.key, secret.value.expose_secret())),
                Some(path) => write(Path::new(path), secret.value.expose_secret()),
            }
        }
        let child = command.spawn().unwrap();
        let group = Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
        let stage = Arc::new(Stage {
            frames: Mutex::default(),
            end: Mutex::default(),
            changed: watch::Sender::new(()),
            group,
        });
        stages.insert(key.clone(), Arc::clone(&stage));
        tokio::spawn(watch_over(child, stage));
        Ok(Started::New)
    }

    fn follow(&self, key: &StageKey, from: u64) -> FollowStream {
        let Some(stage) = self.stage(key) else {
            let error = EnvironmentError::new(Cause::System, "the stage was not started");
            return Box::pin(stream::iter([FollowEvent::Broken(error)]));
        };
        let changed = stage.changed.subscribe();
        Box::pin(stream::unfold(Some((stage, from, changed)), |state| async move {
            let (stage, from, mut changed) = state?;
            loop {
                changed.mark_unchanged();
                let end = stage.end();
                let frame = stage.frames.lock().unwrap().iter().find(|frame| frame.offset == from).cloned();
                if let Some(frame) = frame {
                    let next = frame.end;
                    return Some((FollowEvent::Frame(frame), Some((stage, next, changed))));
                }
                if let Some(end) = end {
                    return Some((FollowEvent::Ended(end), None));
                }
                changed.changed().await.unwrap();
            }
        }))
    }

    async fn status(&self, key: &StageKey) -> Result<StageStatus, EnvironmentError> {
        Ok(match self.stage(key) {
            None => StageStatus::NotStarted,
            Some(stage) => stage.end().map_or(StageStatus::Running, StageStatus::Ended),
        })
    }

    async fn stop(&self, key: &StageKey, how: Stop) -> Result<(), EnvironmentError> {
        let Some(stage) = self.stage(key).filter(|stage| stage.end().is_none()) else { return Ok(()) };
        match how {
            Stop::Kill => stage.kill(),
            Stop::Terminate { grace } => {
                // The shell alone: what it has to say of others that were ended would only be noise.
                let _ = kill_process(stage.group, Signal::TERM);
                tokio::spawn(async move {
                    tokio::time::sleep(grace).await;
                    stage.kill();
                });
            }
        }
        Ok(())
    }

    async fn cleanup(&self, _: CleanupReason, _: Duration) -> Result<Remains, EnvironmentError> {
        self.world.remove(&self.key);
        Ok(Remains::default())
    }
}

/// Records what a stage prints, and its end.
async fn watch_over(mut child: tokio::process::Child, stage: Arc<Stage>) {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let ended = async {
        let status = child.wait().await.unwrap();
        // What it left in the background ends here, and with it the output.
        let _ = kill_process_group(stage.group, Signal::KILL);
        status
    };
    let (status, (), ()) = tokio::join!(
        ended,
        record(stdout, OutputStream::Stdout, &stage),
        record(stderr, OutputStream::Stderr, &stage)
    );
    let end = status.code().map_or_else(|| StageEnd::Signal(status.signal().unwrap()), StageEnd::Exit);
    *stage.end.lock().unwrap() = Some(end);
    stage.changed.send_replace(());
}

async fn record(pipe: Option<impl AsyncRead + Unpin>, stream: OutputStream, stage: &Stage) {
    let mut pipe = pipe.unwrap();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = pipe.read(&mut buffer).await.unwrap();
        if length == 0 {
            return;
        }
        let mut frames = stage.frames.lock().unwrap();
        let offset = frames.last().map_or(0, |frame| frame.end);
        let bytes = buffer[..length].to_vec().into();
        let end = offset + length as u64;
        frames.push(OutputFrame { offset, end, time: SystemTime::now(), stream, bytes });
        drop(frames);
        stage.changed.send_replace(());
    }
}

fn write(path: &Path, value: &str) {
    use std::io::Write as _;

    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = fs::File::options();
    file.write(true).create(true).truncate(true).mode(0o600);
    file.open(path).unwrap().write_all(value.as_bytes()).unwrap();
}
