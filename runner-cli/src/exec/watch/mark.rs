//! What a run would be for, so that two moments can be compared.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::change::Change;
use crate::args::ExecArgs;
use crate::exec::ExecError;
use crate::exec::git::Git;
use crate::exec::run::Surroundings;
use crate::exec::source::{Checkout, Served, SourceError, names, take};

/// What a run would be for at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    /// The commit of the tree as it is.
    tree: String,
    head: String,
    branch: Option<String>,
    /// What the files outside of the tree hold.
    beside: Vec<Option<[u8; 32]>>,
}

/// Makes marks, and tells what differs between them.
#[derive(Debug)]
pub(super) struct Marker {
    root: PathBuf,
    committed: bool,
    /// Files that count although they may not be part of the tree: the pipeline's own, and those of variables.
    beside: Vec<PathBuf>,
    /// Folders that `exec` itself writes to.
    own: Vec<PathBuf>,
    served: Served,
    git: Git,
    /// Holds the repository that snapshots are taken into.
    _scratch: tempfile::TempDir,
}

impl Marker {
    /// For the checkout around the current folder.
    pub(super) fn here(arguments: &ExecArgs, surroundings: &Surroundings) -> Result<Self, ExecError> {
        Self::new(arguments, surroundings, &Checkout::open(&surroundings.here)?)
    }

    /// For a checkout.
    pub(super) fn new(
        arguments: &ExecArgs,
        surroundings: &Surroundings,
        checkout: &Checkout,
    ) -> Result<Self, ExecError> {
        let scratch = tempfile::tempdir()
            .map_err(|source| ExecError::System { what: "cannot make a temporary folder", source })?;
        let served = Served::create(&scratch.path().join("marks.git"), checkout)?;
        let here = |path: &PathBuf| absolute(&surroundings.here.join(path));
        let own = [&arguments.artifacts_to, &arguments.report, &arguments.state_dir];
        Ok(Self {
            root: checkout.root.clone(),
            committed: arguments.committed,
            beside: arguments.file.iter().chain(&arguments.variables_files).map(here).collect(),
            own: own.into_iter().flatten().map(here).collect(),
            git: served.reading_git(checkout),
            served,
            _scratch: scratch,
        })
    }

    /// Root of the working tree.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Files that may lie outside of it.
    pub(super) fn beside(&self) -> &[PathBuf] {
        &self.beside
    }

    /// Whether a path is one of the folders that `exec` itself writes to, or lies in one.
    pub(super) fn is_own(&self, path: &Path) -> bool {
        self.own.iter().any(|folder| path.starts_with(folder))
    }

    /// Where git keeps what is checked out: the files that change with it.
    pub(super) fn heads(&self) -> Vec<PathBuf> {
        let path = |name: &str| Some(self.root.join(self.git.maybe(&["rev-parse", "--git-path", name])?));
        ["HEAD", "index", "packed-refs", "logs/HEAD"].into_iter().filter_map(path).collect()
    }

    /// What a run would be for now. Fails when files come and go at the same time.
    pub(super) fn mark(&self) -> Result<Mark, SourceError> {
        let checkout = Checkout::open(&self.root)?;
        let tree = if self.committed { checkout.head.clone() } else { take(&checkout, &self.served)?.sha };
        Ok(Mark {
            tree,
            head: checkout.head,
            branch: checkout.branch,
            beside: self.beside.iter().map(|path| digest(path)).collect(),
        })
    }

    /// What differs; `None` when a run would be the same.
    pub(super) fn change(&self, before: &Mark, now: &Mark) -> Option<Change> {
        let mut files = Vec::new();
        if before.tree != now.tree {
            let arguments = ["diff-tree", "-r", "-z", "--name-only", "--no-renames", &before.tree, &now.tree];
            let listing = self.git.output(&arguments, &[]).unwrap_or_default();
            files.extend(names(&listing).into_iter().filter(|name| !self.is_own(&self.root.join(name))));
        }
        for (path, (old, new)) in self.beside.iter().zip(before.beside.iter().zip(&now.beside)) {
            let name = path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().into_owned();
            if old != new && !files.contains(&name) {
                files.push(name);
            }
        }
        let short = now.head.get(..8).unwrap_or(&now.head);
        let head = if before.branch != now.branch {
            Some(match &now.branch {
                Some(branch) => format!("branch is now {branch}"),
                None => format!("HEAD is now {short}"),
            })
        } else {
            (before.head != now.head).then(|| format!("HEAD is now {short}"))
        };
        (head.is_some() || !files.is_empty()).then_some(Change { files, head })
    }
}

/// The path with its folder made canonical, as those of events are.
fn absolute(path: &Path) -> PathBuf {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return path.to_owned() };
    folder.canonicalize().map_or_else(|_| path.to_owned(), |folder| folder.join(name))
}

fn digest(path: &Path) -> Option<[u8; 32]> {
    std::fs::read(path).ok().map(|bytes| Sha256::digest(&bytes).into())
}
