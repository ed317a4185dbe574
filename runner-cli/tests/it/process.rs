//! `runner run` as a process of its own, with what tests want to know about it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

use crate::support::{Surroundings, program};

/// Longer than anything takes on a busy machine: a test that hangs fails.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running `runner run`. Killed with everything that it left when the test gives up on it.
pub(crate) struct RunnerProcess {
    child: Child,
    said: Arc<Said>,
    /// Every process of the runner and its jobs has this in its arguments or its environment.
    folder: PathBuf,
}

/// What it says on standard error.
#[derive(Default)]
struct Said {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

impl RunnerProcess {
    /// Starts it with the configuration of the surroundings.
    pub(crate) fn start(surroundings: &Surroundings) -> Self {
        Self::spawn(surroundings, &mut Self::command(surroundings))
    }

    /// The command that starts it. A file that grows beyond a limit gets an error and no signal, as on a full disk.
    pub(crate) fn command(surroundings: &Surroundings) -> Command {
        let mut command = surroundings.command_named("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]).arg(program());
        command.arg("--config").arg(surroundings.config()).args(["run", "--working-directory"]);
        command.arg(surroundings.path("work"));
        command
    }

    pub(crate) fn spawn(surroundings: &Surroundings, command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let (said, stderr) = (Arc::<Said>::default(), child.stderr.take().unwrap());
        let heard = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                heard.lines.lock().unwrap().push(line);
                heard.more.notify_all();
            }
        });
        Self { child, said, folder: surroundings.folder.path().to_owned() }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// From now on its files, and those of the processes that it starts, end at so many bytes: a full disk for these processes
    /// only. `None`: no more.
    pub(crate) fn limit_files(&self, bytes: Option<u64>) {
        prlimit(
            Some(Pid::from_child(&self.child)),
            Resource::Fsize,
            Rlimit { current: bytes, maximum: None },
        )
        .unwrap();
    }

    /// Waits until it has said something.
    #[track_caller]
    pub(crate) fn said(&self, text: &str) {
        let lines = self.said.lines.lock().unwrap();
        let is_missing = |lines: &mut Vec<String>| !lines.iter().any(|line| line.contains(text));
        let (lines, waited) = self.said.more.wait_timeout_while(lines, PATIENCE, is_missing).unwrap();
        assert!(!waited.timed_out(), "{text:?} was not said: {lines:#?}");
    }

    /// How many of its lines contain a text, so far.
    pub(crate) fn times_said(&self, text: &str) -> usize {
        self.said.lines.lock().unwrap().iter().filter(|line| line.contains(text)).count()
    }

    /// Waits for its end; its exit code.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.ended().code()
    }

    #[track_caller]
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        let ended = eventually(|| {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert!(ended, "it does not end: {:#?}", self.said.lines.lock().unwrap());
        status.unwrap()
    }

    /// Waits until no process of its jobs is left.
    #[track_caller]
    pub(crate) fn assert_nothing_runs(&self) {
        assert!(eventually(|| self.processes().is_empty()), "left: {:?}", self.processes());
    }

    /// The processes of its jobs, and itself: id and arguments.
    pub(crate) fn processes(&self) -> Vec<(i32, String)> {
        let marker = self.folder.to_str().unwrap().as_bytes();
        let has_marker = |path: &Path, file| {
            let text = std::fs::read(path.join(file)).unwrap_or_default();
            text.windows(marker.len()).any(|window| window == marker)
        };
        let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let entry = entry.ok()?;
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let path = entry.path();
            (has_marker(&path, "environ") || has_marker(&path, "cmdline")).then(|| {
                let arguments = std::fs::read(path.join("cmdline")).unwrap_or_default();
                (pid, String::from_utf8_lossy(&arguments).replace('\0', " "))
            })
        });
        processes.collect()
    }
}

impl Drop for RunnerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = eventually(|| {
            for (pid, _) in self.processes() {
                let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
            }
            self.processes().is_empty()
        });
    }
}

/// Looks again and again until something is so; `false` when it never is.
#[expect(clippy::disallowed_methods, reason = "no runtime is held up, and other processes send no events")]
pub(crate) fn eventually(mut is_so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if is_so() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// Names of what is in the state folder's journal beside its lock.
pub(crate) fn journaled(surroundings: &Surroundings) -> Vec<String> {
    let items = std::fs::read_dir(surroundings.path("state/journal")).unwrap();
    items.map(|item| item.unwrap().file_name().into_string().unwrap()).filter(|name| name != "lock").collect()
}
