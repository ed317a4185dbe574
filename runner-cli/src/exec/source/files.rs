//! The project's files as the pipeline compiler sees them.

use std::cell::{Cell, OnceCell};
use std::collections::BTreeSet;
use std::io;
use std::path::{Component, Path, PathBuf};

use runner_coordinator::pipeline::{Foreign, Found, ProjectFiles};

use crate::exec::git::{Git, GitError};
use crate::exec::outside::Outside;

/// The files of the project.
#[derive(Debug)]
pub(crate) struct Files {
    origin: Origin,
    /// The pipeline's file, which is read wherever it lies.
    root: Option<(String, PathBuf)>,
    /// Whether a file was read that speaks of changes.
    mentions_changes: Cell<bool>,
    /// Files that do not lie in the project.
    outside: Option<Outside>,
}

/// Where files are read from.
#[derive(Debug)]
enum Origin {
    /// The working tree of a checkout: what git tracks or would track.
    Tree { git: Git, listed: OnceCell<BTreeSet<String>> },
    /// A commit.
    Commit { git: Git, sha: String },
    /// A folder without git.
    Folder(PathBuf),
}

impl Files {
    /// The working tree in which `git` runs.
    pub(crate) fn tree(git: Git) -> Self {
        Self::new(Origin::Tree { git, listed: OnceCell::new() })
    }

    /// The commit `sha`.
    pub(crate) fn commit(git: Git, sha: String) -> Self {
        Self::new(Origin::Commit { git, sha })
    }

    /// A folder of which git knows nothing.
    pub(crate) fn folder(folder: PathBuf) -> Self {
        Self::new(Origin::Folder(folder))
    }

    /// The same, but `name` is read from `path`, whether it is tracked, ignored, or not in the project at all.
    pub(crate) fn with_root(mut self, name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        self.root = Some((name.into(), path.into()));
        self
    }

    /// The same, and files that do not lie in the project are looked for there.
    pub(crate) fn with_outside(mut self, outside: Outside) -> Self {
        self.outside = Some(outside);
        self
    }

    /// Where files that do not lie in the project are looked for.
    pub(crate) fn outside(&self) -> Option<&Outside> {
        self.outside.as_ref()
    }

    /// Whether any file that was read so far has a `changes` in it.
    pub(crate) fn mentions_changes(&self) -> bool {
        self.mentions_changes.get()
    }

    fn new(origin: Origin) -> Self {
        Self { origin, root: None, mentions_changes: Cell::new(false), outside: None }
    }

    fn text(&self, path: &str) -> io::Result<Option<String>> {
        if let Some((_, real)) = self.root.as_ref().filter(|(name, _)| name == path) {
            return read(real);
        }
        if !Path::new(path).components().all(|part| matches!(part, Component::Normal(_))) {
            return Ok(None);
        }
        match &self.origin {
            Origin::Tree { git, listed } => {
                let listed = match listed.get() {
                    Some(listed) => listed,
                    None => {
                        let names = self.list()?.into_iter().collect();
                        listed.get_or_init(|| names)
                    }
                };
                if listed.contains(path) { read(&git.folder().join(path)) } else { Ok(None) }
            }
            Origin::Commit { git, sha } => {
                match git.output(&["cat-file", "blob", &format!("{sha}:{path}")], &[]) {
                    Ok(bytes) => text(bytes).map(Some),
                    Err(GitError::Failed { .. }) => Ok(None),
                    Err(error) => Err(io::Error::other(error)),
                }
            }
            Origin::Folder(root) => read(&root.join(path)),
        }
    }
}

impl ProjectFiles for Files {
    fn read(&self, path: &str) -> io::Result<Option<String>> {
        let text = self.text(path)?;
        if text.as_ref().is_some_and(|text| text.contains("changes")) {
            self.mentions_changes.set(true);
        }
        Ok(text)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        match &self.origin {
            Origin::Tree { git, .. } => {
                let listing =
                    git.output(&["ls-files", "-z", "--cached", "--others", "--exclude-standard"], &[]);
                let names = names(&listing.map_err(io::Error::other)?);
                // A tracked file that was deleted is still listed.
                Ok(names
                    .into_iter()
                    .filter(|name| git.folder().join(name).symlink_metadata().is_ok())
                    .collect())
            }
            Origin::Commit { git, sha } => {
                let listing = git.output(&["ls-tree", "-r", "-z", "--name-only", sha], &[]);
                Ok(names(&listing.map_err(io::Error::other)?))
            }
            Origin::Folder(root) => walk(root),
        }
    }

    fn foreign(&self, wanted: &Foreign<'_>) -> io::Result<Option<Found>> {
        let found = match &self.outside {
            Some(outside) => outside.find(wanted)?,
            None => None,
        };
        if found.as_ref().is_some_and(|found| found.text.contains("changes")) {
            self.mentions_changes.set(true);
        }
        Ok(found)
    }

    fn list_foreign(&self, project: &str, git_ref: Option<&str>) -> io::Result<Option<Vec<String>>> {
        match &self.outside {
            Some(outside) => outside.list(project, git_ref),
            None => Ok(None),
        }
    }
}

/// The text of a file; `None` when there is none.
fn read(path: &Path) -> io::Result<Option<String>> {
    match std::fs::read(path) {
        Ok(bytes) => text(bytes).map(Some),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::IsADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8 text"))
}

/// The names in a listing that git made with `-z`.
pub(crate) fn names(listing: &[u8]) -> Vec<String> {
    listing
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect()
}

/// All files below a folder, relative to it.
pub(crate) fn walk(root: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    walk_into(root, root, &mut found)?;
    Ok(found)
}

fn walk_into(root: &Path, folder: &Path, found: &mut Vec<String>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            if entry.file_name() != ".git" {
                walk_into(root, &path, found)?;
            }
        } else if let Ok(name) = path.strip_prefix(root) {
            found.push(name.to_string_lossy().into_owned());
        }
    }
    Ok(())
}
