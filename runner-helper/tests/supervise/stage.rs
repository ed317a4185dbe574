//! [`Stage`]: a stage's folder with a supervisor, for tests.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use runner_frames::{Decoder, Request, Spec, Status, Stream, Variable, folder};
use rustix::fs::{CWD, FlockOperation, Mode, flock, inotify, mkfifoat};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub(crate) const HELPER: &str = env!("CARGO_BIN_EXE_runner-helper");

/// A stage's folder. Every process of the stage has `$MARKER` in its environment; when the value is dropped, those that are
/// still there are killed and the test fails.
pub(crate) struct Stage {
    temp: TempDir,
    pub(crate) dir: PathBuf,
    pub(crate) spec: Spec,
    marker: String,
}

/// A piece of output.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Piece {
    pub(crate) stream: Stream,
    pub(crate) payload: Vec<u8>,
}

impl Stage {
    pub(crate) fn new(script: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let temp = TempDir::new().unwrap();
        let dir = temp.path().join("stage");
        DirBuilder::new().mode(0o700).create(&dir).unwrap();
        fs::write(dir.join(folder::SCRIPT), script).unwrap();
        let marker = format!("stage-test-{}-{}-", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut spec = Spec::new(vec!["bash".into()], temp.path().to_str().unwrap());
        spec.leftover_grace_ms = 100;
        spec.env.push(variable("MARKER", &marker));
        for name in ["ready", "go"] {
            let path = temp.path().join(name);
            mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
            spec.env.push(variable(&name.to_uppercase(), path.to_str().unwrap()));
        }
        Self { temp, dir, spec, marker }
    }

    /// Writes the spec and gives the command that supervises.
    pub(crate) fn command(&self) -> Command {
        fs::write(self.dir.join(folder::SPEC), self.spec.to_json().unwrap()).unwrap();
        self.bare_command()
    }

    /// The command that supervises, without a new spec.
    pub(crate) fn bare_command(&self) -> Command {
        let mut command = Command::new(HELPER);
        command.args(["supervise", "--dir"]).arg(&self.dir);
        command
    }

    /// Starts the supervisor and returns when the shell runs.
    pub(crate) fn start(&self) -> Supervisor {
        let mut child = self.command().stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        read_started(&mut child);
        Supervisor { child }
    }

    /// Starts the supervisor, waits for its end, and gives the stage's.
    pub(crate) fn run(&self) -> Status {
        let code = self.start().wait();
        assert_eq!(code, i32::from(folder::EXIT_ENDED), "{}", self.log());
        self.status()
    }

    pub(crate) fn status(&self) -> Status {
        self.find_status().expect("a status")
    }

    pub(crate) fn find_status(&self) -> Option<Status> {
        let bytes = fs::read(self.dir.join(folder::STATUS)).ok()?;
        Some(Status::parse(&bytes).unwrap())
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.join(folder::LOG)).unwrap_or_default()
    }

    /// All frames, which must be whole and belong to what the status says.
    pub(crate) fn pieces(&self) -> Vec<Piece> {
        let bytes = fs::read(self.dir.join(folder::OUTPUT)).unwrap();
        let mut decoder = Decoder::new(0);
        decoder.push(&bytes);
        let mut pieces = Vec::new();
        let mut end = 0;
        while let Some(frame) = decoder.next_frame().unwrap() {
            assert_eq!(frame.offset, end);
            end = frame.end;
            pieces.push(Piece { stream: frame.stream, payload: frame.payload.to_vec() });
        }
        if let Some(status) = self.find_status() {
            assert_eq!(status.output, end, "the status tells the length of the output");
            assert!(pieces.is_empty() || decoder.pending() == 0, "no half frame at the end");
        }
        pieces
    }

    pub(crate) fn printed(&self, stream: Stream) -> Vec<u8> {
        self.pieces()
            .into_iter()
            .filter(|piece| piece.stream == stream)
            .flat_map(|piece| piece.payload)
            .collect()
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.printed(Stream::Stdout)).unwrap()
    }

    /// Returns once the condition holds; asks whenever something happens in the folder.
    pub(crate) fn wait_until(&self, condition: impl Fn(&Self) -> bool) {
        let watch = inotify::init(inotify::CreateFlags::CLOEXEC).unwrap();
        let events =
            inotify::WatchFlags::MODIFY | inotify::WatchFlags::MOVED_TO | inotify::WatchFlags::CREATE;
        inotify::add_watch(&watch, &self.dir, events).unwrap();
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&watch, &mut buffer);
        while !condition(self) {
            reader.next().unwrap();
        }
    }

    /// Waits for a line that the script writes into `$READY`.
    pub(crate) fn wait_ready(&self) -> String {
        fs::read_to_string(self.temp.path().join("ready")).unwrap()
    }

    /// Lets a script go on that reads from `$GO`.
    pub(crate) fn let_go(&self) {
        fs::write(self.temp.path().join("go"), "go\n").unwrap();
    }

    pub(crate) fn request(&self, request: Request) {
        self.write_control(&format!("{request}\n"));
    }

    pub(crate) fn write_control(&self, text: &str) {
        self.open_control().write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn open_control(&self) -> File {
        let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        OpenOptions::new().write(true).custom_flags(flags).open(self.dir.join(folder::CONTROL)).unwrap()
    }

    pub(crate) fn terminate(&self, grace_ms: u64) {
        self.request(Request::Terminate { grace: Duration::from_millis(grace_ms) });
    }

    /// Returns once no supervisor holds the folder.
    pub(crate) fn wait_unlocked(&self) {
        flock(File::open(self.dir.join(folder::LOCK)).unwrap(), FlockOperation::LockShared).unwrap();
    }

    /// Path of something beside the stage's folder.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    /// Processes of the stage that are there now.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let has_marker = |path: &Path| {
            let environment = fs::read(path.join("environ")).unwrap_or_default();
            environment.windows(self.marker.len()).any(|window| window == self.marker.as_bytes())
        };
        fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let pid = entry.file_name().to_str()?.parse().ok()?;
                has_marker(&entry.path()).then_some(pid)
            })
            .collect()
    }

    pub(crate) fn kill_processes(&self) {
        while let Some(pid) = self.processes().first() {
            let _ = kill_process(Pid::from_raw(*pid).unwrap(), Signal::KILL);
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let left = self.processes();
        self.kill_processes();
        if !std::thread::panicking() {
            assert!(left.is_empty(), "processes left: {left:?}");
        }
    }
}

/// A running supervisor; killed when the test gives up on it.
pub(crate) struct Supervisor {
    child: Child,
}

impl Supervisor {
    pub(crate) fn wait(mut self) -> i32 {
        self.child.wait().unwrap().code().expect("supervisors end by themselves")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Waits for the supervisor's line and for it to let go of the pipe. A stage that never starts has no such line.
pub(crate) fn read_started(child: &mut Child) {
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert!(line == "started\n" || line.is_empty(), "{line:?}");
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

pub(crate) fn variable(key: &str, value: &str) -> Variable {
    Variable { key: key.to_owned(), value: value.to_owned().into() }
}
