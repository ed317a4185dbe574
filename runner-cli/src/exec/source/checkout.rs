//! The user's checkout: where it is and what kind it is.

use std::path::{Path, PathBuf};

use super::error::SourceError;
use crate::exec::git::{Git, GitError};

/// A folder with a working tree of a git repository that has at least one commit.
#[derive(Debug, Clone)]
pub(crate) struct Checkout {
    /// Root of the working tree.
    pub(crate) root: PathBuf,
    /// Git, run in the root.
    pub(crate) git: Git,
    /// Full id of the commit that is checked out.
    pub(crate) head: String,
    /// `sha1` or `sha256`.
    pub(crate) object_format: String,
}

impl Checkout {
    /// Root of the working tree around `folder`; `None` when there is no repository.
    pub(crate) fn root(folder: &Path) -> Result<Option<PathBuf>, SourceError> {
        let git = Git::new(folder);
        match git.text(&["rev-parse", "--is-bare-repository", "--is-inside-git-dir", "--show-cdup"]) {
            Ok(answer) => {
                let mut lines = answer.lines();
                if lines.next() == Some("true") || lines.next() == Some("true") {
                    return Err(SourceError::Bare(folder.to_owned()));
                }
                // Relative, because an absolute path would not keep the way the user came here through links.
                let up = folder.join(lines.next().unwrap_or_default());
                Ok(Some(up.canonicalize().unwrap_or(up)))
            }
            Err(GitError::Failed { output, .. }) if output.contains("not a git repository") => Ok(None),
            Err(GitError::Failed { output, .. }) => {
                Err(SourceError::Refused { folder: folder.to_owned(), said: output })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Opens the checkout around `folder`.
    ///
    /// # Errors
    /// When there is no repository, or it is bare, or has no commit.
    pub(crate) fn open(folder: &Path) -> Result<Self, SourceError> {
        let root = Self::root(folder)?.ok_or_else(|| SourceError::NoRepository(folder.to_owned()))?;
        let git = Git::new(&root);
        let head = git
            .maybe(&["rev-parse", "--quiet", "--verify", "HEAD^{commit}"])
            .ok_or_else(|| SourceError::NoCommit(root.clone()))?;
        let object_format =
            git.maybe(&["rev-parse", "--show-object-format"]).unwrap_or_else(|| "sha1".to_owned());
        Ok(Self { root, git, head, object_format })
    }

    /// Path of a file or folder of the repository itself, absolute. Right for linked worktrees too.
    pub(crate) fn git_path(&self, name: &str) -> Result<PathBuf, GitError> {
        Ok(self.root.join(self.git.text(&["rev-parse", "--git-path", name])?))
    }

    /// Whether history was cut off when it was cloned.
    pub(crate) fn is_shallow(&self) -> bool {
        self.git.maybe(&["rev-parse", "--is-shallow-repository"]).as_deref() == Some("true")
    }

    /// Whether objects are missing that would be fetched when they are needed.
    pub(crate) fn is_partial(&self) -> bool {
        self.git.succeeds(&["config", "--get-regexp", r"^remote\..*\.promisor$"])
    }
}
