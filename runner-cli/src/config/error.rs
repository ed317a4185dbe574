//! What can go wrong with the configuration.

use std::path::PathBuf;

use super::document::Complaint;

/// A configuration that cannot be used, read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file exists and cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The file is needed and is not there.
    #[error("there is no {}; make one with `runner register`, or name yours with --config", path.display())]
    Missing { path: PathBuf },
    /// The file could not be written; the old one is untouched.
    #[error("cannot write {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The text is not valid, or a value cannot be used.
    #[error("{0}")]
    Invalid(Box<Complaint>),
    /// A change that does not fit the file, such as `runners` being something else than a list of tables.
    #[error("cannot change {}: {what}", path.display())]
    Edit { path: PathBuf, what: String },
}

impl From<Complaint> for ConfigError {
    fn from(complaint: Complaint) -> Self {
        Self::Invalid(Box::new(complaint))
    }
}
