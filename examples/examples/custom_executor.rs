//! A custom executor of about a hundred lines, and the run loop running a job with it.
//!
//! It starts a plain `sh` per stage in a folder of its own. Everything else — stages, sections, masking, timeouts, the log,
//! the final state — is the core's.

use std::process::Stdio;
use std::sync::Arc;

use async_trait::async_trait;
use runner_api::{ClientBuilder, Features};
use runner_coordinator::core::{Coordinator, JobState, NewJob, NewRunner, Options};
use runner_coordinator::http::{Server, ServerOptions};
use runner_core::executor::{
    Capabilities, Cause, EnvironmentError, Executor, ExecutorFactory, JobContext, Notices, Output,
    OutputStream, Place, PrepareRequest, ProviderInfo, Shell, SimpleProvider, StageEnd, StageInput, StageKey,
};
use runner_core::journal::{FileJournal, Journal};
use runner_core::manager::{Manager, RunnerEntry};
use runner_core::settings::{JobSettings, PollSettings, RunnerIdentity};
use runner_core::variables::{Program, TlsFiles};
use secrecy::ExposeSecret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

/// Makes an executor per job.
#[derive(Debug)]
struct PlainShell;

impl ExecutorFactory for PlainShell {
    type Executor = Folder;

    fn info(&self) -> ProviderInfo {
        let mut features = Features::default();
        features.variables = true;
        let capabilities = Capabilities::default();
        ProviderInfo { executor: "plain-shell".into(), shell: "sh".into(), features, capabilities }
    }

    fn executor(&self, _job: &JobContext) -> Result<Folder, EnvironmentError> {
        Ok(Folder { root: None })
    }
}

/// One job's place: a temporary folder, removed when this is dropped.
struct Folder {
    root: Option<tempfile::TempDir>,
}

#[async_trait]
impl Executor for Folder {
    async fn prepare(&mut self, _: PrepareRequest, notices: Notices) -> Result<Place, EnvironmentError> {
        let root = tempfile::tempdir().map_err(|error| {
            EnvironmentError::new(Cause::System, "cannot make a folder for the job").source(error)
        })?;
        notices.plain("Using a temporary folder and sh...").await;
        let path = root.path().display();
        let place = Place {
            builds_dir: format!("{path}/builds"),
            cache_dir: format!("{path}/cache"),
            shared: false,
            shell: Shell::Sh,
            helper: Vec::new(),
            os: "linux".into(),
            hostname: None,
        };
        self.root = Some(root);
        Ok(place)
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
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        for secret in &input.secrets {
            match &secret.file {
                None => {
                    command.env(&secret.key, secret.value.expose_secret());
                }
                Some(path) => {
                    if let Some(parent) = std::path::Path::new(path).parent() {
                        tokio::fs::create_dir_all(parent).await.map_err(failed)?;
                    }
                    tokio::fs::write(path, secret.value.expose_secret()).await.map_err(failed)?;
                }
            }
        }
        let mut child = command.spawn().map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.script.as_bytes()).await.map_err(failed)?;
        }
        let mut buffer = vec![0; 16 * 1024];
        let mut stdout = child.stdout.take();
        while let Some(pipe) = &mut stdout {
            tokio::select! {
                read = pipe.read(&mut buffer) => match read.map_err(failed)? {
                    0 => stdout = None,
                    length => output.write(OutputStream::Stdout, buffer[..length].to_vec()).await,
                },
                () = cancel.cancelled() => child.start_kill().map_err(failed)?,
            }
        }
        let status = child.wait().await.map_err(failed)?;
        Ok(status.code().map_or(StageEnd::Signal(9), StageEnd::Exit))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let address = ([127, 0, 0, 1], 0).into();
    let server =
        Server::bind(address, Coordinator::new(Options::default()), ServerOptions::new(folder.path()))
            .await?;
    let gitlab = server.handle();
    let token = gitlab.create_runner(NewRunner::default()).token;
    let job = gitlab.enqueue(NewJob::new(serde_json::json!({
        "job_info": { "name": "greet", "stage": "test", "project_id": 1 },
        "git_info": { "repo_url": format!("{}/group/project.git", server.url()) },
        "variables": [
            { "key": "GIT_STRATEGY", "value": "none" },
            { "key": "FF_TIMESTAMPS", "value": "false" },
            { "key": "PASSWORD", "value": "hunter2", "masked": true },
        ],
        "steps": [{ "name": "script", "script": ["echo hello from slot $CI_CONCURRENT_ID", "echo the password is $PASSWORD"] }],
    })));

    let entry = RunnerEntry {
        identity: RunnerIdentity {
            name: "example".into(),
            url: server.url().parse()?,
            token: token.expose_secret().into(),
            system_id: "r_0123456789ab".into(),
        },
        poll: PollSettings::default(),
        job: JobSettings::default(),
        provider: Arc::new(SimpleProvider::new(PlainShell)),
        client: ClientBuilder::new(&server.url())?.build()?,
        tls: TlsFiles::default(),
    };
    let program =
        Program { version: "0.1.0".into(), revision: "00000000".into(), platform: "linux/amd64".into() };
    let journal: Arc<dyn Journal> = Arc::new(FileJournal::open(folder.path().join("state"))?);
    let manager = Manager::builder().runner(entry).build(&journal, &program);
    let handle = manager.handle();
    let running = tokio::spawn(manager.run());

    let state = gitlab.finished(job).await;
    handle.drain();
    running.await?;
    print!("{}", String::from_utf8_lossy(&gitlab.read_trace(job, 0)));
    server.shutdown().await;
    match state {
        Some(JobState::Success) => Ok(()),
        other => Err(format!("the job ended as {other:?}").into()),
    }
}
