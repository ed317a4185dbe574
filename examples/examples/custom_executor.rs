//! A custom executor in about 150 lines, and the run loop running a job with it.
//!
//! It starts a plain `sh` per stage in a folder of its own. Everything else — stages, sections, masking, timeouts, the log, the
//! final state — is the core's. That it keeps its promises is shown by `tests/conformance.rs`, in one line.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
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
use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::fs::OpenOptions;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

/// Makes an executor per job.
#[derive(Debug)]
pub struct PlainShell;

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
pub struct Folder {
    root: Option<TempDir>,
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
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        for secret in &input.secrets {
            let value = secret.value.expose_secret();
            match &secret.file {
                None => drop(command.env(&secret.key, value)),
                Some(path) => write_private(path.as_ref(), value).await.map_err(failed)?,
            }
        }
        let mut child = command.spawn().map_err(failed)?;
        let group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
        let (mut stdin, mut stdout, mut stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let script = async {
            if let Some(mut stdin) = stdin.take() {
                // A shell that ends early does not read to the end.
                let _ = stdin.write_all(input.script.as_bytes()).await;
            }
        };
        let ended = async {
            let status = tokio::select! {
                status = child.wait() => status,
                () = cancel.cancelled() => {
                    group.signal(Signal::TERM);
                    child.wait().await
                }
            };
            // What it left in the background ends here, and with it the output.
            drop(group);
            status
        };
        let (mut out, mut err) = ([0; 16 * 1024], [0; 16 * 1024]);
        let print = async {
            while stdout.is_some() || stderr.is_some() {
                let (stream, bytes) = tokio::select! {
                    bytes = read(&mut stdout, &mut out), if stdout.is_some() => (OutputStream::Stdout, bytes),
                    bytes = read(&mut stderr, &mut err), if stderr.is_some() => (OutputStream::Stderr, bytes),
                };
                output.write(stream, bytes).await;
            }
        };
        let ((), status, ()) = tokio::join!(script, ended, print);
        let status = status.map_err(failed)?;
        Ok(status.code().map_or_else(|| StageEnd::Signal(status.signal().unwrap_or(9)), StageEnd::Exit))
    }

    async fn cleanup(&mut self) -> Result<(), EnvironmentError> {
        match self.root.take().map(TempDir::close) {
            Some(Err(error)) => {
                Err(EnvironmentError::new(Cause::System, "cannot remove the job's folder").source(error))
            }
            _ => Ok(()),
        }
    }
}

/// The processes of a stage; dropping it kills them.
struct Group(Option<Pid>);

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.0 {
            // It may be empty by now.
            let _ = kill_process_group(pid, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// The next bytes of a pipe; none, and no pipe any more, at its end.
async fn read(pipe: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> Vec<u8> {
    let Some(open) = pipe else { return Vec::new() };
    let length = open.read(buffer).await.unwrap_or(0);
    if length == 0 {
        *pipe = None;
    }
    buffer[..length].to_vec()
}

/// Writes a file that only its owner may read.
async fn write_private(path: &Path, value: &str) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        tokio::fs::create_dir_all(parent).await?;
    }
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path).await?;
    file.write_all(value.as_bytes()).await?;
    file.flush().await
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
