//! GitLab's side of the Runner API as a program, to try a runner against: serves jobs from a folder and a script, and
//! says what happens.

mod arguments;
mod jobs;
mod narrate;
mod script;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Parser;
use runner_coordinator::core::{Coordinator, EventKind, JobId, JobState, NewRunner, Options};
use runner_coordinator::http::{Server, ServerOptions};
use secrecy::ExposeSecret;
use tokio::signal::unix::{SignalKind, signal};

use arguments::Arguments;
use jobs::{Found, JobFileError, JobFolder};
use narrate::Narrator;
use script::{Script, ScriptError};

/// How often the folder with jobs is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Why the program could not do its work.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Job(#[from] JobFileError),
    #[error(transparent)]
    Script(#[from] ScriptError),
    #[error("listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    #[error("make a folder for artifacts")]
    Artifacts(#[source] io::Error),
    #[error("listen to signals")]
    Signals(#[source] io::Error),
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
    let mut folder = arguments.jobs.clone().map(JobFolder::new);
    // Mistakes are told before anything starts.
    let first_jobs = match &mut folder {
        Some(folder) => {
            let found = folder.look()?.into_iter();
            found.map(|found| Ok((found.file, found.job?))).collect::<Result<Vec<_>, JobFileError>>()?
        }
        None => Vec::new(),
    };
    let mut script = arguments.script.as_deref().map_or_else(|| Ok(Script::empty()), Script::read)?;
    // Heard from before the first line on, after which somebody may send one.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::Signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::Signals)?;

    let (coordinator, created) = coordinator(&arguments);
    let (artifacts, _temporary) = artifacts(arguments.artifacts_dir)?;
    let mut options = ServerOptions::new(artifacts);
    options.storage = arguments.storage;
    let server = Server::bind(arguments.listen, coordinator, options)
        .await
        .map_err(|error| Failure::Listen(arguments.listen, error))?;
    let handle = server.handle();
    let mut events = handle.events();
    let narrator =
        Narrator { handle: handle.clone(), form: arguments.events, show_trace: arguments.show_trace };

    let mut out = io::stdout();
    let storage = server.storage_address().map(|address| format!("http://{address}"));
    narrator.tell_address(&server.url(), storage.as_deref(), &mut out)?;
    for (id, token) in created {
        narrator.tell_runner(id, token.expose_secret(), &mut out)?;
    }
    let mut unfinished = BTreeSet::new();
    for (file, job) in first_jobs {
        let job = handle.enqueue(job);
        narrator.tell_queued(job, &file, &mut out)?;
        unfinished.insert(job);
    }

    let mut all_succeeded = true;
    let mut look = tokio::time::interval(LOOK_EVERY);
    let done = loop {
        if arguments.exit_when_done && unfinished.is_empty() && script.is_over() {
            break true;
        }
        tokio::select! {
            biased;
            _ = interrupt.recv() => break false,
            _ = terminate.recv() => break false,
            event = events.recv() => {
                let Some(event) = event else { break false };
                narrator.tell(&event, &mut out)?;
                script.see(&event);
                if let EventKind::JobFinished { job, state, .. } = event.kind {
                    unfinished.remove(&job);
                    all_succeeded &= state == JobState::Success;
                }
            }
            () = script.due() => {
                for job in script.run(&handle) {
                    narrator.tell_queued(job, "the script", &mut out)?;
                    unfinished.insert(job);
                }
            }
            _ = look.tick(), if folder.is_some() => {
                let found = folder.as_mut().map(JobFolder::look).transpose()?.unwrap_or_default();
                for Found { file, job } in found {
                    match job {
                        Ok(job) => {
                            let job: JobId = handle.enqueue(job);
                            narrator.tell_queued(job, &file, &mut out)?;
                            unfinished.insert(job);
                        }
                        Err(error) => narrator.tell_problem(&with_causes(&error), &mut out)?,
                    }
                }
            }
        }
    };
    server.shutdown().await;
    let good = if arguments.exit_when_done { done && all_succeeded } else { true };
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The coordinator with what the arguments say, and the runners whose tokens nobody knows yet.
fn coordinator(arguments: &Arguments) -> (Coordinator, Vec<(u64, secrecy::SecretString)>) {
    // Tokens of two starts should differ; within one start everything is reproducible anyway.
    let by_clock =
        || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut coordinator = Coordinator::new(Options {
        seed: arguments.seed.unwrap_or_else(by_clock),
        long_poll: Duration::from_secs(arguments.long_poll),
        root: arguments.root.clone(),
        ..Options::default()
    });
    for token in &arguments.registration_tokens {
        coordinator.register_token(token.clone());
    }
    for token in &arguments.personal_tokens {
        coordinator.personal_token(token.clone());
    }
    for token in &arguments.runner_tokens {
        coordinator.create_runner(NewRunner { token: Some(token.clone()), ..NewRunner::default() });
    }
    let mut created = Vec::new();
    if arguments.runner_tokens.is_empty() && arguments.registration_tokens.is_empty() {
        let runner = coordinator.create_runner(NewRunner::default());
        created.push((runner.id.0, runner.token));
    }
    for fault in &arguments.faults {
        coordinator.add_fault(fault.clone());
    }
    (coordinator, created)
}

/// The folder for artifacts; a temporary one is deleted with the second value.
fn artifacts(wanted: Option<PathBuf>) -> Result<(PathBuf, Option<tempfile::TempDir>), Failure> {
    match wanted {
        Some(folder) => {
            std::fs::create_dir_all(&folder).map_err(Failure::Artifacts)?;
            Ok((folder, None))
        }
        None => {
            let temporary = tempfile::tempdir().map_err(Failure::Artifacts)?;
            Ok((temporary.path().to_owned(), Some(temporary)))
        }
    }
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
