//! Starting a supervisor.

use std::process::Stdio;
use std::time::Duration;

use runner_core::executor::{Cause, EnvironmentError};
use runner_frames::folder;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

use crate::stage_folder::StageFolder;

/// More than a supervisor ever says before its shell runs.
const MOST_SAID: u64 = 16 * 1024;
/// A program that says nothing for so long is no supervisor.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a supervisor said about its stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Launched {
    /// The shell runs.
    New,
    /// It ended without a shell; the status says why.
    NewAndOver,
    /// Another supervisor runs the stage.
    Running,
    /// The stage was over before.
    Ended,
    /// An earlier supervisor died.
    Lost,
}

/// Starts a supervisor for a folder that has been written, and waits until it says how it went.
pub(crate) async fn launch(helper: &[String], stage: &StageFolder) -> Result<Launched, EnvironmentError> {
    let Some((program, arguments)) = helper.split_first() else {
        return Err(EnvironmentError::new(Cause::Configuration, "no helper program is configured"));
    };
    let failed =
        |what: &str| EnvironmentError::new(Cause::System, format!("cannot {what} the supervisor {program}"));
    let mut child = Command::new(program)
        .args(arguments)
        .args(["supervise", "--dir"])
        .arg(stage.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // It outlives us. No process group of its own: it makes itself a session, which a group's leader could not.
        .kill_on_drop(false)
        .spawn()
        .map_err(|error| failed("start").source(error))?;
    let said = tokio::time::timeout(PATIENCE, listen(&mut child)).await;
    let Ok((said, complaint)) = said else {
        reap(child);
        return Err(failed("hear from").evidence(format!("it said nothing within {} s", PATIENCE.as_secs())));
    };
    if said.trim_end() == folder::STARTED {
        reap(child);
        return Ok(Launched::New);
    }
    let status = match tokio::time::timeout(PATIENCE, child.wait()).await {
        Ok(status) => status.map_err(|error| failed("wait for").source(error))?,
        Err(_) => {
            reap(child);
            return Err(failed("understand").evidence(format!("it said {said:?}")));
        }
    };
    match status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(folder::EXIT_ENDED) if said.is_empty() => Ok(Launched::NewAndOver),
        Some(folder::EXIT_ALREADY_RUNNING) => Ok(Launched::Running),
        Some(folder::EXIT_ALREADY_ENDED) => Ok(Launched::Ended),
        Some(folder::EXIT_LOST) => Ok(Launched::Lost),
        _ => Err(failed("use").evidence(format!("it ended with {status}: {}", complaint.trim_end()))),
    }
}

/// Reads both outputs to their end: a supervisor lets go of them as soon as its shell runs.
async fn listen(child: &mut Child) -> (String, String) {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    tokio::join!(read_text(stdout), read_text(stderr))
}

async fn read_text(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        // What was read before an error is still worth something.
        let _ = pipe.take(MOST_SAID).read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Waits for the end of a child in the background, so that it does not stay as a zombie.
fn reap(mut child: Child) {
    tokio::spawn(async move {
        let _ = child.wait().await;
    });
}
