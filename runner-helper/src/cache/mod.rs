//! Caches: what a job leaves for later runs of its like, as one archive per key.
//!
//! [`archive`] packs files below the project folder unless an archive of just these files is there already; [`extract`] puts
//! them back. Names, flags and log lines are those of GitLab Runner's helper. Archives are kept on this machine; flags that
//! name an object storage are refused.
//!
//! An archive is replaced in one step: jobs that share a cache see the old one or the new one, whole.

mod archive;
mod args;
mod extract;
mod init;

pub use archive::archive;
pub use args::{ArchiverArgs, ExtractorArgs, InitArgs, StorageArgs};
pub use extract::extract;
pub use init::init;
