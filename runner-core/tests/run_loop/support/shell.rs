//! A simple executor with real processes.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use async_trait::async_trait;
use runner_core::executor::{
    Capabilities, Cause, EnvironmentError, Executor, ExecutorFactory, JobContext, Notices, Output,
    OutputStream, Place, PrepareRequest, ProviderInfo, Shell, SimpleProvider, StageEnd, StageInput, StageKey,
};
use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::ExposeSecret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

/// Runs each stage in a `sh` of its own.
#[derive(Debug)]
pub(crate) struct PlainShell {
    root: PathBuf,
    helper: Vec<String>,
}

impl PlainShell {
    /// Jobs get folders below `root`.
    pub(crate) fn provider(root: PathBuf) -> SimpleProvider<Self> {
        SimpleProvider::new(Self { root, helper: Vec::new() })
    }

    /// The same with a program as its helper.
    pub(crate) fn with_helper(root: PathBuf, helper: &Path) -> SimpleProvider<Self> {
        SimpleProvider::new(Self { root, helper: vec![helper.display().to_string()] })
    }
}

impl ExecutorFactory for PlainShell {
    type Executor = Room;

    fn info(&self) -> ProviderInfo {
        let mut features = runner_api::Features::default();
        features.variables = true;
        let capabilities = Capabilities::default();
        ProviderInfo { executor: "plain".into(), shell: "sh".into(), features, capabilities }
    }

    fn executor(&self, job: &JobContext) -> Result<Room, EnvironmentError> {
        Ok(Room { folder: self.root.join(job.key.to_string()), helper: self.helper.clone() })
    }
}

/// One job's folder.
pub(crate) struct Room {
    folder: PathBuf,
    helper: Vec<String>,
}

#[async_trait]
impl Executor for Room {
    async fn prepare(&mut self, _: PrepareRequest, notices: Notices) -> Result<Place, EnvironmentError> {
        let fail = |error| EnvironmentError::new(Cause::System, "cannot make the job's folder").source(error);
        tokio::fs::create_dir_all(&self.folder).await.map_err(fail)?;
        notices.plain("Using a folder and sh...").await;
        let path = self.folder.display();
        Ok(Place {
            builds_dir: format!("{path}/builds"),
            cache_dir: format!("{path}/cache"),
            shared: false,
            shell: Shell::Sh,
            helper: self.helper.clone(),
            os: "linux".into(),
            hostname: None,
        })
    }

    async fn run(
        &mut self,
        stage: &StageKey,
        input: StageInput,
        output: &mut Output,
        cancel: CancellationToken,
    ) -> Result<StageEnd, EnvironmentError> {
        let failed =
            |error| EnvironmentError::new(Cause::System, format!("cannot run stage {stage}")).source(error);
        let mut command = Command::new("sh");
        command.process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for secret in &input.secrets {
            match &secret.file {
                None => {
                    command.env(&secret.key, secret.value.expose_secret());
                }
                Some(path) => {
                    let path = PathBuf::from(path);
                    tokio::fs::create_dir_all(path.parent().unwrap()).await.map_err(failed)?;
                    tokio::fs::write(path, secret.value.expose_secret()).await.map_err(failed)?;
                }
            }
        }
        let mut child = command.spawn().map_err(failed)?;
        let group = Group(Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap());
        let mut stdin = child.stdin.take().unwrap();
        let script = tokio::spawn(async move { stdin.write_all(input.script.as_bytes()).await });
        let mut pipes = (child.stdout.take(), child.stderr.take());
        let (mut out, mut err) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
        let mut asked = false;
        while pipes.0.is_some() || pipes.1.is_some() {
            tokio::select! {
                read = read(&mut pipes.0, &mut out) => match read.map_err(failed)? {
                    0 => pipes.0 = None,
                    length => output.write(OutputStream::Stdout, out[..length].to_vec()).await,
                },
                read = read(&mut pipes.1, &mut err) => match read.map_err(failed)? {
                    0 => pipes.1 = None,
                    length => output.write(OutputStream::Stderr, err[..length].to_vec()).await,
                },
                () = cancel.cancelled(), if !asked => {
                    asked = true;
                    group.signal(Signal::TERM);
                }
            }
        }
        let status = child.wait().await.map_err(failed)?;
        script.abort();
        Ok(status.code().map_or(StageEnd::Signal(9), StageEnd::Exit))
    }

    async fn cleanup(&mut self) -> Result<(), EnvironmentError> {
        let fail = |error| EnvironmentError::new(Cause::System, "the job's folder stays").source(error);
        match tokio::fs::remove_dir_all(&self.folder).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(fail(error)),
            _ => Ok(()),
        }
    }
}

async fn read(pipe: &mut Option<impl AsyncReadExt + Unpin>, buffer: &mut [u8]) -> std::io::Result<usize> {
    match pipe {
        Some(pipe) => pipe.read(buffer).await,
        None => std::future::pending().await,
    }
}

/// The processes of a stage; none of them outlives this value.
struct Group(Pid);

impl Group {
    fn signal(&self, signal: Signal) {
        // The group may be gone already.
        let _ = kill_process_group(self.0, signal);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
