//! The working tree as a commit: tracked and untracked files without the ignored ones.

use std::path::Path;

use super::checkout::Checkout;
use super::commit::Commit;
use super::error::SourceError;
use super::serve::Served;
use crate::exec::git::{Git, GitError};

/// The commit that a pipeline runs for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// Full id.
    pub(crate) sha: String,
    /// Whether it differs from the commit that is checked out.
    pub(crate) dirty: bool,
    /// Untracked folders that are repositories of their own; they are left out.
    pub(crate) nested: Vec<String>,
}

impl Snapshot {
    /// The commit before it, as far as the clone has one.
    pub(super) fn parent(&self, checkout: &Checkout, head: &Commit) -> Option<String> {
        if self.dirty { Some(checkout.head.clone()) } else { head.parents.first().cloned() }
    }
}

/// Stores the working tree as a commit in `served`. The user's repository is only read: objects go to the served
/// repository, and a copy of the index is changed.
///
/// A tree without changes is the commit that is checked out. Otherwise the new commit's parent is that commit, and author,
/// dates and message are that commit's, so that the same tree gives the same id.
pub(crate) fn take(checkout: &Checkout, served: &Served) -> Result<Snapshot, SourceError> {
    let index = served.folder().join("index");
    let git = writing_git(checkout, served, &index);
    let changes = Changes::read(&git.clone().with_variable("GIT_INDEX_FILE", &checkout.paths().index))?;
    if changes.is_clean {
        return Ok(Snapshot { sha: checkout.head.clone(), dirty: false, nested: changes.nested });
    }
    if checkout.paths().index.exists() {
        // The copy knows which files are unchanged, so only the others are read.
        std::fs::copy(&checkout.paths().index, &index)
            .map_err(|source| SourceError::State { path: index.clone(), source })?;
    }
    // First what is tracked, then what is new: a file that became a folder must be gone before the folder's files come.
    for (option, paths) in [("--remove", &changes.tracked), ("--add", &changes.new)] {
        if !paths.is_empty() {
            let arguments = ["update-index", "-z", option, "--ignore-skip-worktree-entries", "--stdin"];
            git.output(&arguments, paths)?;
        }
    }
    let tree = git.text(&["write-tree", "--missing-ok"])?;
    if tree == checkout.tree {
        return Ok(Snapshot { sha: checkout.head.clone(), dirty: false, nested: changes.nested });
    }
    let sha = commit(checkout, &git, &tree)?;
    Ok(Snapshot { sha, dirty: true, nested: changes.nested })
}

/// How the working tree differs from the commit that is checked out. Paths end with a zero byte each.
#[derive(Debug, Default)]
struct Changes {
    /// Nothing is to be stored.
    is_clean: bool,
    /// Tracked files that are not as the index has them.
    tracked: Vec<u8>,
    new: Vec<u8>,
    /// Untracked repositories: they end with a slash in the listing and cannot be added as files.
    nested: Vec<String>,
}

impl Changes {
    /// Asks git, whatever the user's settings say about how such a question is answered.
    fn read(git: &Git) -> Result<Self, GitError> {
        let listing = git.output(
            &[
                "status",
                "--porcelain=v2",
                "-z",
                "--untracked-files=all",
                "--ignored=no",
                "--no-renames",
                // Only the commit of a submodule is part of the tree.
                "--ignore-submodules=dirty",
            ],
            &[],
        )?;
        let mut changes = Self { is_clean: true, ..Self::default() };
        for entry in listing.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
            match entry.split_first_chunk::<2>() {
                Some((b"? ", path)) if path.ends_with(b"/") => {
                    changes.nested.push(String::from_utf8_lossy(path).into_owned());
                }
                Some((b"? ", path)) => {
                    changes.is_clean = false;
                    push(&mut changes.new, path);
                }
                // `1 XY SUB MODES… IDS… PATH`; what is staged and not changed since is in the index as it is.
                Some((b"1 ", fields)) => {
                    changes.is_clean = false;
                    if fields.get(1) != Some(&b'.') {
                        push(&mut changes.tracked, last_field(fields, 8));
                    }
                }
                // `u XY SUB MODES… IDS… PATH`
                Some((b"u ", fields)) => {
                    changes.is_clean = false;
                    push(&mut changes.tracked, last_field(fields, 10));
                }
                _ => {}
            }
        }
        Ok(changes)
    }
}

/// The last of so many fields, which may hold blanks, the signs between them.
fn last_field(fields: &[u8], count: usize) -> &[u8] {
    fields.splitn(count, |byte| *byte == b' ').last().unwrap_or_default()
}

fn push(paths: &mut Vec<u8>, path: &[u8]) {
    paths.extend_from_slice(path);
    paths.push(0);
}

/// Git that reads the checkout and writes elsewhere.
fn writing_git(checkout: &Checkout, served: &Served, index: &Path) -> Git {
    checkout
        .git
        .clone()
        .with_variable("GIT_INDEX_FILE", index)
        .with_variable("GIT_OBJECT_DIRECTORY", served.folder().join("objects"))
        // Both would write files beside the user's index, or start a daemon.
        .with_setting("core.splitIndex=false")
        .with_setting("core.fsmonitor=false")
        // Objects that live as long as one run: time matters, room does not.
        .with_setting("core.looseCompression=0")
        // The filter of large files stores what it reads; not in the user's repository.
        .with_setting(format!("lfs.storage={}", served.folder().join("lfs").display()))
        .with_setting("advice.addEmbeddedRepo=false")
}

fn commit(checkout: &Checkout, git: &Git, tree: &str) -> Result<String, GitError> {
    let head = checkout.commit()?;
    let mut git = git.clone();
    for (name, value) in &head.identity {
        git = git.with_variable(name, value);
    }
    let sha = git.output(&["commit-tree", tree, "-p", &checkout.head, "-F", "-"], &head.message)?;
    Ok(String::from_utf8_lossy(&sha).trim().to_owned())
}
