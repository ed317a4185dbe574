//! [`SuperviseError`].

use std::io;
use std::path::PathBuf;

/// Why a supervisor could not do its work. What goes wrong with the stage itself is no error here: it is in the status.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuperviseError {
    /// A file of the stage's folder.
    #[error("cannot {what} {path}: {source}", path = path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The spec.
    #[error("cannot use {path}: {source}", path = path.display())]
    Spec {
        /// Its path.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: runner_frames::SpecError,
    },
    /// A call that every Linux of the last ten years has.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl SuperviseError {
    pub(super) fn file(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }

    pub(super) fn system<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::System { what, source: source.into() }
    }
}
