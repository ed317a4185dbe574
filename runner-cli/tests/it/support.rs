//! What the tests of the program share: the program in clean surroundings, a coordinator, git checkouts.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use runner_coordinator::core::{Coordinator, JobId, JobState, Options};
use runner_coordinator::http::{Handle, Server, ServerOptions};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Where programs are found.
#[expect(clippy::disallowed_methods, reason = "tests find git and shells where their caller does")]
fn search_path() -> std::ffi::OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

/// The program under test.
pub(crate) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_runner"))
}

/// A folder for one test: home, configuration, whatever else.
pub(crate) struct Surroundings {
    pub(crate) folder: TempDir,
}

impl Surroundings {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("home")).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("config.toml")
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn read_config(&self) -> String {
        std::fs::read_to_string(self.config()).unwrap()
    }

    /// The program with nothing of this process's environment but what finds other programs. Its home is empty, so that
    /// login shells do not run what the machine's user has set up.
    pub(crate) fn command(&self) -> Command {
        self.command_named(program())
    }

    /// The same for another program.
    pub(crate) fn command_named(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", search_path())
            .env("HOME", self.path("home"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .current_dir(self.folder.path());
        command
    }

    /// The program with this test's configuration file.
    pub(crate) fn runner(&self, arguments: &[&str]) -> Answer {
        Answer::of(self.command().arg("--config").arg(self.config()).args(arguments))
    }
}

/// How the program ended and what it said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Answer {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }
}

/// GitLab's side, in this process.
pub(crate) struct GitLab {
    runtime: Runtime,
    server: Option<Server>,
    _artifacts: TempDir,
}

impl GitLab {
    pub(crate) fn start() -> Self {
        Self::start_with(Options::default())
    }

    pub(crate) fn start_with(options: Options) -> Self {
        let runtime = Runtime::new().unwrap();
        let artifacts = tempfile::tempdir().unwrap();
        let coordinator = Coordinator::new(Options { record_requests: true, ..options });
        let options = ServerOptions::new(artifacts.path());
        let server =
            runtime.block_on(Server::bind(([127, 0, 0, 1], 0).into(), coordinator, options)).unwrap();
        Self { runtime, server: Some(server), _artifacts: artifacts }
    }

    pub(crate) fn url(&self) -> String {
        self.server.as_ref().unwrap().url()
    }

    pub(crate) fn handle(&self) -> Handle {
        self.server.as_ref().unwrap().handle()
    }

    /// Waits for the end of a job.
    pub(crate) fn wait(&self, job: JobId) -> Option<JobState> {
        self.runtime.block_on(self.handle().finished(job))
    }

    /// Waits until a job has printed something.
    pub(crate) fn wait_for_trace(&self, job: JobId, text: &str) {
        let handle = self.handle();
        let mut events = handle.events();
        let has_text = || String::from_utf8_lossy(&handle.read_trace(job, 0)).contains(text);
        self.runtime.block_on(async {
            while !has_text() {
                events.recv().await.unwrap();
            }
        });
    }
}

impl Drop for GitLab {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.shutdown());
        }
    }
}

/// A git repository with one commit, in a folder of the surroundings.
pub(crate) struct Checkout<'a> {
    pub(crate) surroundings: &'a Surroundings,
    pub(crate) root: PathBuf,
}

impl<'a> Checkout<'a> {
    /// A repository whose first commit holds this pipeline.
    pub(crate) fn new(surroundings: &'a Surroundings, pipeline: &str) -> Self {
        let root = surroundings.path("project");
        std::fs::create_dir(&root).unwrap();
        let checkout = Self { surroundings, root };
        checkout.git(&["init", "--quiet", "--initial-branch=main"]);
        checkout.write(".gitlab-ci.yml", pipeline);
        checkout.commit("start");
        checkout
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
    }

    #[track_caller]
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git(self.surroundings, &self.root, arguments)
    }

    /// `runner exec` in the repository, with its state in the surroundings.
    pub(crate) fn exec(&self, arguments: &[&str]) -> Answer {
        Answer::of(self.exec_command(arguments).current_dir(&self.root))
    }

    pub(crate) fn exec_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.surroundings.command();
        command.args(["exec", "--state-dir"]).arg(self.surroundings.path("state")).args(arguments);
        command.current_dir(&self.root);
        command
    }

    /// Everything in `.git`: names, sizes, times. Equal before and after means that nothing was written. Times of objects do not
    /// count: git touches an object that it would have written.
    pub(crate) fn fingerprint(&self) -> Vec<String> {
        let mut found = Vec::new();
        fingerprint(&self.root.join(".git"), &mut found);
        found.sort();
        found
    }
}

#[track_caller]
pub(crate) fn git(surroundings: &Surroundings, folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .env_clear()
        .env("PATH", search_path())
        .env("HOME", surroundings.path("home"))
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .args([
            "-c",
            "user.name=Tester",
            "-c",
            "user.email=tester@example.org",
            "-c",
            "protocol.file.allow=always",
        ])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn fingerprint(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let data = entry.metadata().unwrap();
        let name = entry.path().display().to_string();
        if data.is_dir() {
            found.push(format!("{name} {:?}", data.modified().unwrap()));
            fingerprint(&entry.path(), found);
        } else if name.contains("/.git/objects/") {
            found.push(format!("{name} {}", data.len()));
        } else {
            found.push(format!("{name} {} {:?}", data.len(), data.modified().unwrap()));
        }
    }
}
