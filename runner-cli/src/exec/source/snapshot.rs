//! The working tree as a commit: tracked and untracked files without the ignored ones.

use std::path::Path;

use super::checkout::Checkout;
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

/// Stores the working tree as a commit in `served`. The user's repository is only read: objects go to the served
/// repository, and a copy of the index is changed.
///
/// A tree without changes is the commit that is checked out. Otherwise the new commit's parent is that commit, and author,
/// dates and message are that commit's, so that the same tree gives the same id.
pub(crate) fn take(checkout: &Checkout, served: &Served) -> Result<Snapshot, SourceError> {
    let index = served.folder().join("index");
    let user_index = checkout.git_path("index")?;
    if user_index.exists() {
        // The copy knows which files are unchanged, so only the others are read.
        std::fs::copy(&user_index, &index)
            .map_err(|source| SourceError::State { path: index.clone(), source })?;
    }
    let git = writing_git(checkout, served, &index);
    // First what is tracked, then what is new: a file that became a folder must be gone before the folder's files come.
    let tracked = git.output(&["ls-files", "-z", "--cached"], &[])?;
    git.output(&["update-index", "-z", "--remove", "--ignore-skip-worktree-entries", "--stdin"], &tracked)?;
    let new = git.output(&["ls-files", "-z", "--others", "--exclude-standard"], &[])?;
    let (nested, new) = separate(&new);
    git.output(&["update-index", "-z", "--add", "--stdin"], &new)?;
    let tree = git.text(&["write-tree", "--missing-ok"])?;
    if tree == git.text(&["rev-parse", &format!("{}^{{tree}}", checkout.head)])? {
        return Ok(Snapshot { sha: checkout.head.clone(), dirty: false, nested });
    }
    let sha = commit(checkout, &git, &tree)?;
    Ok(Snapshot { sha, dirty: true, nested })
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
        // The filter of large files stores what it reads; not in the user's repository.
        .with_setting(format!("lfs.storage={}", served.folder().join("lfs").display()))
        .with_setting("advice.addEmbeddedRepo=false")
}

/// Untracked repositories end with a slash in the listing and cannot be added as files.
fn separate(listing: &[u8]) -> (Vec<String>, Vec<u8>) {
    let mut nested = Vec::new();
    let mut files = Vec::with_capacity(listing.len());
    for path in listing.split(|byte| *byte == 0).filter(|path| !path.is_empty()) {
        if path.ends_with(b"/") {
            nested.push(String::from_utf8_lossy(path).into_owned());
        } else {
            files.extend_from_slice(path);
            files.push(0);
        }
    }
    (nested, files)
}

fn commit(checkout: &Checkout, git: &Git, tree: &str) -> Result<String, GitError> {
    let format = "--format=%an%x00%ae%x00%ad%x00%cn%x00%ce%x00%cd%x00%B";
    let head = git.output(&["show", "--no-patch", "--date=raw", format, &checkout.head], &[])?;
    let mut fields = head.splitn(7, |byte| *byte == 0);
    let mut git = git.clone();
    for name in [
        "GIT_AUTHOR_NAME",
        "GIT_AUTHOR_EMAIL",
        "GIT_AUTHOR_DATE",
        "GIT_COMMITTER_NAME",
        "GIT_COMMITTER_EMAIL",
        "GIT_COMMITTER_DATE",
    ] {
        let value = String::from_utf8_lossy(fields.next().unwrap_or_default()).into_owned();
        git = git.with_variable(name, value);
    }
    let message = fields.next().unwrap_or_default();
    let sha = git.output(&["commit-tree", tree, "-p", &checkout.head, "-F", "-"], message)?;
    Ok(String::from_utf8_lossy(&sha).trim().to_owned())
}
