//! Where a run has its files, and what must not be left of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::jobs::Spec;

/// The folder of a run: home, configuration, programs of the jobs, the runner's state.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// What is removed at the end; nothing after a failure.
    owner: Option<tempfile::TempDir>,
}

/// A repository with one commit.
#[derive(Debug)]
pub(crate) struct Repository {
    pub(crate) url: String,
    pub(crate) commit: String,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let owner = tempfile::Builder::new().prefix("runner-faults-").tempdir().unwrap();
        let folder = Self { path: owner.path().canonicalize().unwrap(), owner: Some(owner) };
        for name in ["home", "files", "artifacts"] {
            std::fs::create_dir(folder.path(name)).unwrap();
        }
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A program in clean surroundings. Its home is empty, so that login shells do not run what the machine's user has set up.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        #[expect(clippy::disallowed_methods, reason = "tests find git and shells where their caller does")]
        let search_path = std::env::var_os("PATH").unwrap_or_default();
        let mut command = Command::new(program.as_ref());
        command
            .env_clear()
            .env("PATH", search_path)
            .env("HOME", self.path("home"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .current_dir(&self.path)
            .stdin(Stdio::null());
        command
    }

    /// Writes what the programs of the jobs need.
    pub(crate) fn write(&self, specs: &[Spec]) {
        let files = self.path("files");
        for spec in specs {
            spec.program.write(&files, &format!("{}.sh", spec.number));
            if let Some(artifact) = &spec.artifact {
                std::fs::write(files.join(spec.artifact_name()), &artifact.content).unwrap();
            }
        }
    }

    pub(crate) fn repository(&self) -> Repository {
        let root = self.path("project");
        std::fs::create_dir(&root).unwrap();
        let git = |arguments: &[&str]| {
            let identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org"];
            let output =
                self.command("git").args(identity).args(arguments).current_dir(&root).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        git(&["init", "--quiet", "--initial-branch=main"]);
        std::fs::write(root.join("README"), "words\n").unwrap();
        git(&["add", "--all"]);
        git(&["commit", "--quiet", "--message", "start"]);
        Repository { url: format!("file://{}", root.display()), commit: git(&["rev-parse", "HEAD"]) }
    }

    /// Processes that have to do with the folder: their command line, environment or current folder names it.
    pub(crate) fn processes(&self) -> Vec<String> {
        let name = self.path.display().to_string();
        let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        let concerned = processes.filter(|process| {
            let has = |file: &str| {
                let bytes = std::fs::read(process.join(file)).unwrap_or_default();
                bytes.windows(name.len()).any(|window| window == name.as_bytes())
            };
            let here = std::fs::read_link(process.join("cwd")).is_ok_and(|here| here.starts_with(&self.path));
            here || has("cmdline") || has("environ")
        });
        let told = concerned.map(|process| {
            let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
            format!("{}: {}", process.display(), String::from_utf8_lossy(&line).replace('\0', " "))
        });
        told.collect()
    }

    /// Files that the runner has left of jobs.
    pub(crate) fn remains(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        files_below(&self.path("state"), &mut found);
        found.retain(|path| !path.ends_with("journal/lock"));
        found
    }

    /// Lets the folder stay for whoever looks for what went wrong.
    pub(crate) fn keep(&mut self) -> &Path {
        if let Some(owner) = self.owner.take() {
            let _ = owner.keep();
        }
        &self.path
    }
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            files_below(&entry.path(), found);
        } else {
            found.push(entry.path());
        }
    }
}
