//! Repositories to fetch from.
#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::script_support::PATH;

/// Runs git in a folder and gives what it prints.
#[track_caller]
pub(crate) fn git(dir: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(args).current_dir(dir).env_clear().env("PATH", PATH).env("HOME", dir);
    command.env("GIT_CONFIG_NOSYSTEM", "1");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "unit").env(format!("GIT_{role}_EMAIL"), "unit@example.com");
        command.env(format!("GIT_{role}_DATE"), "2026-01-01T00:00:00Z");
    }
    command.env("GIT_ALLOW_PROTOCOL", "file");
    let output = command.output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A repository with some commits on `main`.
pub(crate) struct Repository {
    dir: TempDir,
}

impl Repository {
    pub(crate) fn new() -> Self {
        Self::with_format("sha1")
    }

    pub(crate) fn with_format(format: &str) -> Self {
        let repository = Self { dir: TempDir::new().unwrap() };
        git(repository.path(), &["init", "-q", "-b", "main", "--object-format", format]);
        // Any commit may be asked for, as GitLab allows.
        git(repository.path(), &["config", "uploadpack.allowAnySHA1InWant", "true"]);
        repository.commit("README", "first\n");
        repository
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn url(&self) -> String {
        format!("file://{}", self.path().display())
    }

    /// Commits a file and gives the commit's id.
    pub(crate) fn commit(&self, name: &str, text: &str) -> String {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        git(self.path(), &["add", "-A"]);
        git(self.path(), &["commit", "-q", "-m", name]);
        self.head()
    }

    pub(crate) fn head(&self) -> String {
        git(self.path(), &["rev-parse", "HEAD"])
    }

    pub(crate) fn add_submodule(&self, of: &Repository, at: &str) -> String {
        git(self.path(), &["submodule", "--quiet", "add", &of.url(), at]);
        git(self.path(), &["commit", "-q", "-m", at]);
        self.head()
    }

    /// What a payload says of its newest commit.
    pub(crate) fn git_info(&self, depth: u64) -> Value {
        json!({
            "repo_url": self.url(), "ref": "main", "sha": self.head(), "depth": depth,
            "refspecs": ["+refs/heads/main:refs/remotes/origin/main"],
        })
    }
}
