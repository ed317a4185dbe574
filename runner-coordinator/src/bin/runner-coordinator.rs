//! GitLab's side of the Runner API as a program, to try a runner against: serves job payloads from a folder and says
//! what happens.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Parser;
use runner_coordinator::core::{Coordinator, Event, EventKind, JobId, JobState, NewJob, NewRunner, Options};
use runner_coordinator::fault::Fault;
use runner_coordinator::http::{Handle, Server, ServerOptions};
use secrecy::{ExposeSecret, SecretString};

/// GitLab's side of the Runner API in one process: hands out the jobs of a folder and prints what happens.
///
/// The first line on stdout is the URL for the runner's configuration.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Registration token that `POST runners` accepts.
    #[arg(long = "registration-token", value_name = "TOKEN")]
    registration_tokens: Vec<SecretString>,
    /// Authentication token of a runner that exists from the start. Without one and without a registration token, a
    /// runner is created and its token printed.
    #[arg(long = "runner-token", value_name = "TOKEN")]
    runner_tokens: Vec<SecretString>,
    /// Folder with job payloads, one JSON object in each `*.json`, handed out in the order of their names. Id and
    /// token are filled in.
    #[arg(long, value_name = "DIR")]
    jobs: PathBuf,
    /// What goes wrong, e.g. `patch_trace:2:503` or `request_job:1-3:429,header=Retry-After=7`.
    #[arg(long = "fault", value_name = "RULE", value_parser = fault)]
    faults: Vec<Fault>,
    /// Folder for artifacts; a temporary one without it.
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
    /// How many seconds a job request is held when there is nothing to do; 0 answers at once.
    #[arg(long, value_name = "SECONDS", default_value_t = 50)]
    long_poll: u64,
    /// Path below which the API lives, e.g. `/gitlab`.
    #[arg(long, value_name = "PATH", default_value = "")]
    root: String,
    /// Print the jobs' logs too.
    #[arg(long)]
    show_trace: bool,
    /// End when all jobs have ended: with 0 if all succeeded, else with 1.
    #[arg(long)]
    exit_when_done: bool,
}

/// Why the program could not do its work.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("read job payloads from {path}", path = .0.display())]
    Folder(PathBuf, #[source] io::Error),
    #[error("read the job payload {path}", path = .0.display())]
    Payload(PathBuf, #[source] serde_json::Error),
    #[error("the job payload {path} is not a JSON object", path = .0.display())]
    NotAnObject(PathBuf),
    #[error("listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    #[error("make a folder for artifacts")]
    Artifacts(#[source] io::Error),
    #[error("write to stdout")]
    Output(#[from] io::Error),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(code) => code,
        Err(failure) => {
            // There is nowhere left to report a failure to.
            let _ = writeln!(io::stderr(), "runner-coordinator: {}", with_causes(&failure));
            ExitCode::from(2)
        }
    }
}

async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let payloads = payloads(&arguments.jobs)?;
    let options = Options {
        // Tokens of two starts should differ; within one start everything is reproducible anyway.
        seed: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        long_poll: Duration::from_secs(arguments.long_poll),
        root: arguments.root,
        ..Options::default()
    };
    let mut coordinator = Coordinator::new(options);
    let created = arguments.runner_tokens.is_empty() && arguments.registration_tokens.is_empty();
    for token in arguments.registration_tokens {
        coordinator.register_token(token);
    }
    let runners: Vec<_> = if created {
        vec![coordinator.create_runner(NewRunner::default())]
    } else {
        let with = |token: &SecretString| NewRunner { token: Some(token.clone()), ..NewRunner::default() };
        arguments.runner_tokens.iter().map(|token| coordinator.create_runner(with(token))).collect()
    };
    for fault in arguments.faults {
        coordinator.add_fault(fault);
    }

    let temporary;
    let artifacts = match arguments.artifacts {
        Some(folder) => {
            std::fs::create_dir_all(&folder).map_err(Failure::Artifacts)?;
            folder
        }
        None => {
            temporary = tempfile::tempdir().map_err(Failure::Artifacts)?;
            temporary.path().to_owned()
        }
    };
    let server = Server::bind(arguments.listen, coordinator, ServerOptions::new(artifacts))
        .await
        .map_err(|error| Failure::Listen(arguments.listen, error))?;
    let mut out = io::stdout();
    writeln!(out, "{}", server.url())?;
    if created {
        for runner in &runners {
            writeln!(out, "runner {}: token {}", runner.id, runner.token.expose_secret())?;
        }
    }

    let handle = server.handle();
    let mut events = handle.events();
    let mut unfinished = BTreeMap::new();
    for (file, payload) in payloads {
        let job = handle.enqueue(NewJob::new(payload));
        let name = handle.job(job, |record| record.name().to_owned()).unwrap_or_default();
        writeln!(out, "job {job} ({name}): queued from {file}")?;
        unfinished.insert(job, name);
    }

    let narrator = Narrator { handle, show_trace: arguments.show_trace };
    let mut all_succeeded = true;
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    let done = loop {
        if arguments.exit_when_done && unfinished.is_empty() {
            break true;
        }
        let event = tokio::select! {
            event = events.recv() => event,
            _ = &mut interrupted => break false,
        };
        let Some(event) = event else { break false };
        narrator.tell(&event, &mut out)?;
        if let EventKind::JobFinished { job, state, .. } = event.kind {
            unfinished.remove(&job);
            all_succeeded &= state == JobState::Success;
        }
    };
    server.shutdown().await;
    let good = if arguments.exit_when_done { done && all_succeeded } else { true };
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn fault(text: &str) -> Result<Fault, String> {
    text.parse().map_err(|error| with_causes(&error))
}

/// An error in one line with what caused it.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The payloads of a folder with the names of their files.
fn payloads(folder: &Path) -> Result<Vec<(String, serde_json::Value)>, Failure> {
    let unreadable = |error| Failure::Folder(folder.to_owned(), error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let text = std::fs::read(&path).map_err(|error| Failure::Folder(path.clone(), error))?;
            let payload: serde_json::Value =
                serde_json::from_slice(&text).map_err(|error| Failure::Payload(path.clone(), error))?;
            if !payload.is_object() {
                return Err(Failure::NotAnObject(path));
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Ok((name, payload))
        })
        .collect()
}

/// Tells events in one line each.
struct Narrator {
    handle: Handle,
    show_trace: bool,
}

impl Narrator {
    fn tell(&self, event: &Event, out: &mut impl Write) -> io::Result<()> {
        match &event.kind {
            EventKind::RunnerRegistered { runner } => writeln!(out, "runner {runner}: registered"),
            EventKind::RunnerUnregistered { runner } => writeln!(out, "runner {runner}: unregistered"),
            EventKind::ManagerCreated { runner, system_id } => {
                writeln!(out, "runner {runner}: manager {system_id} seen for the first time")
            }
            EventKind::ManagerDeleted { runner, system_id } => {
                writeln!(out, "runner {runner}: manager {system_id} unregistered")
            }
            EventKind::JobAssigned { job, runner } => {
                writeln!(out, "{}: handed to runner {runner}", self.job(*job))
            }
            EventKind::JobStarted { job } => writeln!(out, "{}: running", self.job(*job)),
            EventKind::TraceAppended { job, offset, length } => {
                writeln!(out, "{}: {length} bytes of log from {offset} on", self.job(*job))?;
                if self.show_trace {
                    let text = self.handle.read_trace(*job, *offset);
                    let length = usize::try_from(*length).unwrap_or(usize::MAX).min(text.len());
                    out.write_all(&text[..length])?;
                    if !text[..length].ends_with(b"\n") {
                        writeln!(out)?;
                    }
                }
                Ok(())
            }
            EventKind::TraceCut { job, length } => {
                writeln!(out, "{}: log cut to {length} bytes by a fault", self.job(*job))
            }
            EventKind::ArtifactStored { job, artifact_type, filename, size } => {
                write!(out, "{}: {artifact_type} {filename} stored, {size} bytes", self.job(*job))?;
                match self.handle.artifact(*job, artifact_type) {
                    Some(path) => writeln!(out, ", in {}", path.display()),
                    None => writeln!(out),
                }
            }
            EventKind::JobCanceling { job } => writeln!(out, "{}: canceling", self.job(*job)),
            EventKind::JobFinished { job, state, failure_reason, exit_code } => {
                write!(out, "{}: {state}", self.job(*job))?;
                if let Some(reason) = failure_reason {
                    write!(out, ", {reason}")?;
                }
                if let Some(code) = exit_code {
                    write!(out, ", exit code {code}")?;
                }
                writeln!(out)
            }
            other => writeln!(out, "{other:?}"),
        }
    }

    fn job(&self, job: JobId) -> String {
        let name = self.handle.job(job, |record| record.name().to_owned()).unwrap_or_default();
        format!("job {job} ({name})")
    }
}
