//! `run`: takes jobs from GitLab and runs them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use runner_core::executor::Shell;
use runner_core::journal::{FileJournal, Journal};
use runner_core::manager::{Manager, RunnerEntry};
use runner_core::variables::TlsFiles;
use runner_executor_shell::{ShellConfig, ShellProvider};
use tokio::signal::unix::{SignalKind, signal};

use super::Context;
use super::client::Clients;
use crate::args::RunArgs;
use crate::config::{Global, Loaded, Resolved};
use crate::error::{CliError, Exit};
use crate::host;

/// Executors that this build has.
const SUPPORTED: &str = "shell";
/// Threads that drive jobs, at most.
const MOST_WORKERS: usize = 8;
/// Threads that may wait for the disk at the same time. Each one that was ever needed at once costs memory.
const BLOCKING_THREADS: usize = 16;
/// How long jobs get to report their end after the last signal.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// Runs until a signal says to stop and the last job has ended.
pub(super) fn run(context: &Context, arguments: &RunArgs) -> Result<Exit, CliError> {
    let loaded = Loaded::read(&context.config);
    let global = loaded.as_ref().ok().map(Global::resolve);
    let (level, format) = match &global {
        Some(Ok(global)) => (global.log_level, global.log_format),
        _ => (None, None),
    };
    context.log(level.unwrap_or_default(), format.unwrap_or_default());
    let loaded = loaded?;
    for complaint in loaded.unknown() {
        tracing::warn!("{}", complaint.short());
    }
    for complaint in loaded.unsupported() {
        tracing::warn!("{}", complaint.not_supported());
    }
    refuse_another_user(arguments, &loaded)?;
    let global = Global::resolve(&loaded)?;
    let folders = Folders::of(context, arguments)?;
    let mut builder = Manager::builder().concurrent(usize::try_from(global.concurrent).unwrap_or(usize::MAX));
    let clients = Clients::default();
    for entry in entries(context, &loaded)? {
        builder = builder.runner(runner(context, &loaded, &global, entry, &folders, &clients)?);
    }
    let journal = FileJournal::open(folders.state.join("journal"))
        .map_err(|source| CliError::State { path: folders.state.clone(), source })?;
    let journal: Arc<dyn Journal> = Arc::new(journal);
    let manager = builder.build(&journal, &host::program());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers())
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()
        .map_err(CliError::system("cannot start the runtime"))?;
    let exit = runtime.block_on(watch(manager, global.shutdown_timeout));
    runtime.shutdown_background();
    exit
}

/// Threads that drive jobs. Most of the time nothing happens, and a second thread would mostly cost wake-ups; what needs more are
/// many jobs that print a lot, and those need most of the cores for themselves.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).div_ceil(4).min(MOST_WORKERS)
}

/// Jobs that should run as somebody else must not run as whoever runs this process, who may be allowed more.
fn refuse_another_user(arguments: &RunArgs, loaded: &Loaded) -> Result<(), CliError> {
    let flag =
        arguments.user.as_deref().filter(|user| !user.is_empty()).map(|_| "not supported: --user".to_owned());
    match flag.or_else(|| loaded.other_user().map(|complaint| complaint.not_supported())) {
        None => Ok(()),
        Some(refusal) => Err(CliError::Usage(format!(
            "{refusal}: jobs run as the user of this process; start it as that user"
        ))),
    }
}

/// Where things of this process live.
struct Folders {
    state: PathBuf,
    work: PathBuf,
    program: PathBuf,
}

impl Folders {
    fn of(context: &Context, arguments: &RunArgs) -> Result<Self, CliError> {
        let here = std::env::current_dir().map_err(CliError::system("cannot tell the current folder"))?;
        let beside = context.config.parent().unwrap_or(Path::new(""));
        let state = arguments.state_dir.clone().unwrap_or_else(|| beside.join("state"));
        Ok(Self {
            state: here.join(state),
            work: here.join(arguments.working_directory.as_deref().unwrap_or(Path::new(""))),
            program: std::env::current_exe()
                .map_err(CliError::system("cannot tell where this program is"))?,
        })
    }

    /// A folder for jobs as the configuration names it: relative to the working directory, which is also called `$PWD`.
    fn of_jobs(&self, path: &str) -> PathBuf {
        let work = self.work.display().to_string();
        self.work.join(path.replace("${PWD}", &work).replace("$PWD", &work))
    }
}

/// The entries that this build can run; the others are refused one by one, by name.
fn entries(context: &Context, loaded: &Loaded) -> Result<Vec<Resolved>, CliError> {
    let system_id = context.system_id();
    let mut entries = Vec::new();
    for (position, runner) in loaded.config.runners.iter().enumerate() {
        if runner.executor == SUPPORTED {
            entries.push(loaded.contact(position, &system_id, &context.host.environment)?);
        } else {
            tracing::error!("{}", loaded.executor_complaint(position).not_supported());
        }
    }
    if entries.is_empty() {
        return Err(CliError::Usage(format!(
            "{} has no runner that this program can run; the only executor it has is {SUPPORTED}",
            context.config.display()
        )));
    }
    Ok(entries)
}

fn runner(
    context: &Context,
    loaded: &Loaded,
    global: &Global,
    entry: Resolved,
    folders: &Folders,
    clients: &Clients,
) -> Result<RunnerEntry, CliError> {
    let side = loaded.job_side(entry.position, global)?;
    let short = entry.identity.token.short();
    let folder = |given: &Option<String>, name: &str| folders.of_jobs(given.as_deref().unwrap_or(name));
    let mut config = ShellConfig::new(
        folders.state.join("shell").join(safe(short)),
        folder(&side.builds_dir, "builds"),
        folder(&side.cache_dir, "cache"),
        vec![folders.program.display().to_string()],
    );
    if side.shell == "sh" {
        config.shell = Shell::Sh;
    }
    config.grace = side.job.grace;
    tracing::info!(name = entry.identity.name, runner = short, url = %entry.identity.url, "takes jobs");
    Ok(RunnerEntry {
        client: clients.client(&context.host, &entry)?,
        identity: entry.identity,
        poll: side.poll,
        job: side.job,
        provider: Arc::new(ShellProvider::new(config)),
        // The client tells what its connection was made with.
        tls: TlsFiles::default(),
    })
}

/// A short token as the name of a folder.
fn safe(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' }).collect()
}

/// Runs the manager and listens for signals:
///
/// | Signal | First | Second | Third |
/// | --- | --- | --- | --- |
/// | `SIGQUIT` | no more jobs, wait for these without limit | the same | the same |
/// | `SIGTERM`, `SIGINT` | no more jobs, wait up to `timeout`, then let go of them | let go of them now | end at once |
///
/// Letting go of a job leaves it running for the next start, which goes on with it. A job that cannot be left, because its executor
/// does not find its jobs again, is interrupted: `after_script` runs, and GitLab is told.
async fn watch(manager: Manager, timeout: Duration) -> Result<Exit, CliError> {
    let listen = |kind| signal(kind).map_err(CliError::system("cannot listen for signals"));
    let (mut quit, mut hangup) = (listen(SignalKind::quit())?, listen(SignalKind::hangup())?);
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let handle = manager.handle();
    let mut running = tokio::spawn(manager.run());
    let mut stops = 0;
    let mut deadline = None;
    loop {
        let wish = tokio::select! {
            ended = &mut running => {
                ended.map_err(|error| CliError::Failed(format!("the run loop ended unexpectedly: {error}")))?;
                return Ok(Exit::Success);
            }
            _ = quit.recv() => Wish::Drain,
            _ = hangup.recv() => Wish::Reload,
            _ = terminate.recv() => Wish::Stop,
            _ = interrupt.recv() => Wish::Stop,
            () = until(deadline) => Wish::LetGo,
        };
        let jobs = handle.jobs().len();
        stops += u32::from(wish == Wish::Stop);
        match wish {
            Wish::Reload => {
                tracing::warn!("not supported: reloading the configuration; start the program again");
            }
            Wish::Drain => {
                handle.drain();
                tracing::info!(jobs, "takes no more jobs and waits for those that run");
            }
            Wish::Stop if stops == 1 => {
                handle.drain();
                tracing::info!(jobs, "takes no more jobs; those that run have {timeout:?}");
                deadline = Some(tokio::time::Instant::now() + timeout);
            }
            Wish::LetGo | Wish::Stop if stops <= 2 => {
                tracing::info!(
                    jobs,
                    "leaves the jobs that run to the next start; interrupts those that cannot be left"
                );
                deadline = None;
                handle.detach();
            }
            Wish::LetGo | Wish::Stop => {
                tracing::warn!(jobs, "ends at once");
                handle.abort();
                // Long enough to report, not to wait for anything else.
                let reported = tokio::time::timeout(LAST_WORDS, running).await;
                return Ok(if reported.is_ok() { Exit::Success } else { Exit::Failed });
            }
        }
    }
}

/// What a signal, or the end of the patience after one, asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Reload,
    Drain,
    Stop,
    LetGo,
}

async fn until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
