//! [`Command`]: the helper's commands, shared by both binaries.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use runner_frames::folder;

use crate::artifacts::{self, DownloaderArgs, UploaderArgs};
use crate::cache::{self, ArchiverArgs, ExtractorArgs, InitArgs};
use crate::files::Surroundings;
use crate::supervisor::{self, Outcome};

/// Wait between the first two tries of an upload.
const UPLOAD_WAIT: Duration = Duration::from_secs(1);

/// A command of the helper. Names and flags are those of GitLab Runner's helper, where it has the command.
#[derive(Debug, Subcommand)]
#[non_exhaustive]
pub enum Command {
    /// Run one stage of a job and keep its output and its end, whatever becomes of the manager.
    #[command(hide = true)]
    Supervise(SuperviseArgs),
    /// Upload artifacts of a job.
    #[command(hide = true)]
    ArtifactsUploader(Box<UploaderArgs>),
    /// Download and extract artifacts of another job.
    #[command(hide = true)]
    ArtifactsDownloader(Box<DownloaderArgs>),
    /// Create and upload a cache.
    #[command(hide = true)]
    CacheArchiver(Box<ArchiverArgs>),
    /// Download and extract a cache.
    #[command(hide = true)]
    CacheExtractor(ExtractorArgs),
    /// Change the permissions of cache folders.
    #[command(hide = true)]
    CacheInit(InitArgs),
    /// Wait until services answer.
    #[command(hide = true)]
    HealthCheck(NotBuilt),
    /// Print a job's log file as it grows.
    #[command(hide = true)]
    ReadLogs(NotBuilt),
    /// Run a command and mask its output.
    #[command(hide = true)]
    ProxyExec(NotBuilt),
    /// Serve native steps.
    #[command(hide = true)]
    Steps(NotBuilt),
}

/// Arguments of `supervise`.
#[derive(Debug, Args)]
pub struct SuperviseArgs {
    /// Folder of the stage, with `script` and `spec.json` in it.
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
}

/// Whatever is given to a command that GitLab Runner's helper has and this one does not.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct NotBuilt {
    /// Not looked at.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub arguments: Vec<OsString>,
}

/// The process in which a command runs, as the program found it.
pub struct Process {
    /// The current folder; for artifacts the project's folder.
    pub folder: io::Result<PathBuf>,
    /// Environment variables, those that are UTF-8.
    pub environment: BTreeMap<String, String>,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The environment of a job is full of secrets.
        f.debug_struct("Process").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Runs `supervise --dir DIR`, if that is the whole command line (without the program's name); `None`: it is something else,
/// and nothing has happened.
///
/// For the start of a program: each stage of each job starts a supervisor, and building a parser for all the other commands
/// takes longer than everything that a supervisor does before its shell runs. Takes over the process as [`run`] does.
pub fn run_supervisor(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    if arguments.next()? != "supervise" || arguments.next()? != "--dir" {
        return None;
    }
    let dir = arguments.next()?.into();
    arguments.next().is_none().then(|| supervise(&SuperviseArgs { dir }))
}

/// Runs a command to its end; the exit code is the program's. May take over the whole process
/// ([`supervisor::supervise`] does), so it is the last thing that a program does. Blocks; not for use within an async runtime.
pub fn run(command: Command, process: Process) -> ExitCode {
    match command {
        Command::Supervise(arguments) => supervise(&arguments),
        Command::ArtifactsUploader(arguments) => {
            in_project(process, |surroundings| artifacts::upload(&arguments, surroundings))
        }
        Command::ArtifactsDownloader(arguments) => {
            in_project(process, |surroundings| artifacts::download(&arguments, surroundings))
        }
        Command::CacheArchiver(arguments) => {
            in_project(process, |surroundings| cache::archive(&arguments, surroundings))
        }
        Command::CacheExtractor(arguments) => {
            in_project(process, |surroundings| cache::extract(&arguments, surroundings))
        }
        Command::CacheInit(arguments) => {
            in_project(process, |surroundings| cache::init(&arguments, surroundings))
        }
        Command::HealthCheck(_) => not_supported("health-check"),
        Command::ReadLogs(_) => not_supported("read-logs"),
        Command::ProxyExec(_) => not_supported("proxy-exec"),
        Command::Steps(_) => not_supported("steps"),
    }
}

fn in_project(process: Process, command: impl FnOnce(&mut Surroundings<'_>) -> u8) -> ExitCode {
    let folder = match process.folder {
        Ok(folder) => folder,
        Err(error) => {
            complain(&format!("cannot tell the current folder: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let mut surroundings = Surroundings {
        folder,
        environment: process.environment,
        upload_wait: UPLOAD_WAIT,
        out: &mut io::stdout(),
        log: &mut io::stderr(),
    };
    ExitCode::from(command(&mut surroundings))
}

fn supervise(arguments: &SuperviseArgs) -> ExitCode {
    let (code, said) = match supervisor::supervise(&arguments.dir) {
        Ok(Outcome::Ended) => (folder::EXIT_ENDED, None),
        Ok(Outcome::AlreadyRunning) => (folder::EXIT_ALREADY_RUNNING, Some("already running".to_owned())),
        Ok(Outcome::AlreadyEnded) => (folder::EXIT_ALREADY_ENDED, Some("already ended".to_owned())),
        Ok(Outcome::Lost) => {
            (folder::EXIT_LOST, Some("an earlier supervisor died without a status".to_owned()))
        }
        Err(error) => (folder::EXIT_FAILED, Some(error.to_string())),
    };
    if let Some(text) = said {
        complain(&format!("{}: {text}", arguments.dir.display()));
    }
    ExitCode::from(code)
}

fn not_supported(name: &str) -> ExitCode {
    complain(&format!("not supported: {name}"));
    ExitCode::FAILURE
}

fn complain(text: &str) {
    // There is nobody left to tell when standard error is closed.
    let _ = writeln!(io::stderr(), "{text}");
}
