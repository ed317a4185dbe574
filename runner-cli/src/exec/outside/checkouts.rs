//! `--project PATH=DIR`: another project in a folder of this machine.

use std::io;
use std::path::{Path, PathBuf};

use runner_coordinator::pipeline::Found;

use super::{component_files, is_inside, versions};
use crate::exec::git::Git;

/// Folders of other projects.
#[derive(Debug)]
pub(super) struct Checkouts {
    projects: Vec<(String, PathBuf)>,
}

impl Checkouts {
    pub(super) fn new(projects: Vec<(String, PathBuf)>) -> Self {
        Self { projects }
    }

    /// A file of a project; `None` when no folder was named for it.
    pub(super) fn file(&self, project: &str, git_ref: Option<&str>, file: &str) -> io::Result<Option<Found>> {
        let Some(folder) = self.folder(project) else { return Ok(None) };
        let at = At::of(folder, git_ref)?;
        match at.read(folder, file)? {
            Some(text) => Ok(Some(Found { text, git_ref: None })),
            None => Err(io::Error::other(format!("{} has no file {file}{at}", folder.display()))),
        }
    }

    /// A component of a project; `None` when no folder was named for it.
    pub(super) fn component(&self, project: &str, name: &str, version: &str) -> io::Result<Option<Found>> {
        let Some(folder) = self.folder(project) else { return Ok(None) };
        let tags = Git::new(folder).maybe(&["tag", "--list"]).unwrap_or_default();
        let version = match versions::newest(version, tags.lines()) {
            None => version,
            Some(Some(tag)) => tag,
            // A checkout without releases: what is there is the latest.
            Some(None) if version == "~latest" => "HEAD",
            Some(None) => {
                let message = format!("{} has no release {version}", folder.display());
                return Err(io::Error::other(message));
            }
        };
        let at = At::of(folder, Some(version))?;
        for file in component_files(name) {
            if let Some(text) = at.read(folder, &file)? {
                return Ok(Some(Found { text, git_ref: Some(version.to_owned()) }));
            }
        }
        let [one, other] = component_files(name);
        Err(io::Error::other(format!("{} has neither {one} nor {other}{at}", folder.display())))
    }

    /// All files of a project; `None` when no folder was named for it.
    pub(super) fn list(&self, project: &str, git_ref: Option<&str>) -> io::Result<Option<Vec<String>>> {
        let Some(folder) = self.folder(project) else { return Ok(None) };
        At::of(folder, git_ref)?.list(folder).map(Some)
    }

    fn folder(&self, project: &str) -> Option<&Path> {
        self.projects.iter().rev().find(|(path, _)| path == project).map(|(_, folder)| folder.as_path())
    }
}

/// Which state of a checkout is meant.
#[derive(Debug)]
enum At {
    /// The files as they lie there: what is checked out is what is asked for.
    Tree { git: bool },
    /// A commit, and the ref by which it was asked for.
    Commit(String, String),
}

impl At {
    fn of(folder: &Path, git_ref: Option<&str>) -> io::Result<Self> {
        if !folder.is_dir() {
            return Err(io::Error::other(format!("{} is no folder", folder.display())));
        }
        let git = Git::new(folder);
        if !git.succeeds(&["rev-parse", "--is-inside-work-tree"]) {
            return Ok(Self::Tree { git: false });
        }
        let Some(git_ref) = git_ref.filter(|git_ref| *git_ref != "HEAD") else {
            return Ok(Self::Tree { git: true });
        };
        let current = git.maybe(&["symbolic-ref", "--quiet", "--short", "HEAD"]);
        if current.as_deref() == Some(git_ref) {
            return Ok(Self::Tree { git: true });
        }
        let commit = [git_ref.to_owned(), format!("refs/remotes/origin/{git_ref}")].iter().find_map(|name| {
            git.maybe(&[
                "rev-parse",
                "--verify",
                "--quiet",
                "--end-of-options",
                &format!("{name}^{{commit}}"),
            ])
        });
        commit.map(|sha| Self::Commit(sha, git_ref.to_owned())).ok_or_else(|| {
            io::Error::other(format!(
                "{} has no branch, tag or commit {git_ref}; fetch it there",
                folder.display()
            ))
        })
    }

    fn read(&self, folder: &Path, file: &str) -> io::Result<Option<String>> {
        if !is_inside(file) {
            return Err(io::Error::other("the path leads out of the project"));
        }
        match self {
            Self::Tree { .. } => match std::fs::read_to_string(folder.join(file)) {
                Ok(text) => Ok(Some(text)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            },
            Self::Commit(sha, _) => show(&Git::new(folder), sha, file),
        }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let git = Git::new(folder);
        let listing = match self {
            Self::Tree { git: false } => return crate::exec::source::walk(folder),
            Self::Tree { git: true } => {
                git.output(&["ls-files", "-z", "--cached", "--others", "--exclude-standard"], &[])
            }
            Self::Commit(sha, _) => git.output(&["ls-tree", "-r", "-z", "--name-only", sha], &[]),
        };
        Ok(crate::exec::source::names(&listing.map_err(io::Error::other)?))
    }
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tree { .. } => Ok(()),
            Self::Commit(_, git_ref) => write!(f, " at {git_ref}"),
        }
    }
}

/// A file of a commit; `None` when there is none.
pub(super) fn show(git: &Git, commit: &str, file: &str) -> io::Result<Option<String>> {
    match git.output(&["cat-file", "blob", &format!("{commit}:{file}")], &[]) {
        Ok(bytes) => String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8 text")),
        Err(crate::exec::git::GitError::Failed { .. }) => Ok(None),
        Err(error) => Err(io::Error::other(error)),
    }
}
