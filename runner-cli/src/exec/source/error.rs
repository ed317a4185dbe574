//! Why there are no sources.

use std::path::PathBuf;

use crate::exec::git::GitError;

/// The sources cannot be offered to jobs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// No repository here.
    #[error(
        "{} is not inside a git repository, and jobs fetch their sources with git\n\
         hint: run `git init && git add . && git commit -m start` there, or look at the jobs with `runner exec --list`",
        .0.display()
    )]
    NoRepository(PathBuf),
    /// A repository in which git finds something wrong.
    #[error("git refuses the repository around {}: {said}", folder.display())]
    Refused { folder: PathBuf, said: String },
    /// A repository without files.
    #[error("{} is a bare repository; run this in a checkout of it", .0.display())]
    Bare(PathBuf),
    /// A repository without history.
    #[error(
        "the repository in {} has no commit yet, and a pipeline runs for a commit\n\
         hint: commit something first, for example `git add . && git commit -m start`",
        .0.display()
    )]
    NoCommit(PathBuf),
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The state folder cannot be used.
    #[error("cannot prepare the sources in {}", path.display())]
    State {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}
