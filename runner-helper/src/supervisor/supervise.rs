//! [`supervise`]: from a prepared folder to a status.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::SystemTime;

use runner_frames::{End, Spec, Status, folder};
use rustix::process::{Pid, getpid, set_child_subreaper, setsid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use super::SuperviseError;
use super::control::Control;
use super::folder::{Claim, StageFolder};
use super::log::Log;
use super::recorder::Recorder;
use super::shell;
use super::signals::Signals;
use super::watch::Watch;

/// What became of a call of [`supervise`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The stage was run and is over; the status is there.
    Ended,
    /// Another supervisor runs it.
    AlreadyRunning,
    /// It was over before.
    AlreadyEnded,
    /// Another supervisor had begun and died without a status. Nothing was run again.
    Lost,
}

/// Runs the stage of a prepared folder to its end and writes its status.
///
/// Takes over the whole process: its session, its signals, its children and, once the shell runs, its standard streams (a line
/// `started` is printed before). A program calls it once, from its only thread, and exits afterwards.
///
/// # Errors
/// When there is nothing to supervise, or when the status could not be written. A shell that cannot be started is not an error:
/// it is the stage's status.
pub fn supervise(dir: &Path) -> Result<Outcome, SuperviseError> {
    let folder = match StageFolder::claim(dir)? {
        Claim::Ours(folder) => folder,
        Claim::Running => return Ok(Outcome::AlreadyRunning),
        Claim::Ended => return Ok(Outcome::AlreadyEnded),
        Claim::Lost => return Ok(Outcome::Lost),
    };
    let log = folder.open_log()?;
    let spec = folder.read_spec()?;
    // It fails when we lead a process group, as a shell's child would; then we stay in the session.
    if let Err(errno) = setsid() {
        log.line(format_args!("stays in its session: {errno}"));
    }
    set_child_subreaper(Some(getpid()))
        .map_err(SuperviseError::system("become the reaper of the stage's processes"))?;
    let signals = Signals::install().map_err(SuperviseError::system("install signal handlers"))?;
    let path = folder.path(folder::CONTROL);
    // Open until the status is there: a reader that finds neither concludes that this process died.
    let mut control = Control::create(&path).map_err(SuperviseError::file("make", path))?;
    let status_file = folder.reserve_status()?;
    let output = folder.create_output()?;

    let started = SystemTime::now();
    let mut status = match launch(&folder, &spec, output, &log) {
        Ok((pid, recorder)) => {
            if let Err(error) = let_go_of_terminal(&log) {
                log.line(format_args!("cannot let go of the standard streams: {error}"));
            }
            Watch::new(&folder, &spec, &signals, &mut control, recorder, pid, &log).run()
        }
        Err(fault) => {
            log.line(&fault);
            Status::new(End::Fault(fault), started, SystemTime::now())
        }
    };
    status.started = started;
    folder.remove(folder::SPEC, &log);
    folder.remove(folder::SCRIPT, &log);
    status_file.publish(&status).inspect_err(|error| log.line(error))?;
    drop(control);
    Ok(Outcome::Ended)
}

/// Starts the shell and removes the spec. The error is a text for the status.
fn launch(folder: &StageFolder, spec: &Spec, output: File, log: &Log) -> Result<(Pid, Recorder), String> {
    let (recorder, ends) = Recorder::new(output).map_err(|error| format!("cannot make pipes: {error}"))?;
    let pid = shell::start(spec, &folder.path(folder::SCRIPT), ends)?;
    folder.remove(folder::SPEC, log);
    log.line(format_args!("started process {}", pid.as_raw_nonzero()));
    Ok((pid, recorder))
}

/// Says that the shell runs, and gives the standard streams back, so that nobody waits for us to close them.
fn let_go_of_terminal(log: &Log) -> io::Result<()> {
    let mut stdout = io::stdout();
    // Nobody needs to listen.
    let _ = writeln!(stdout, "{}", folder::STARTED).and_then(|()| stdout.flush());
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(log.file())?;
    Ok(())
}
