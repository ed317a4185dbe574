//! Artifacts: what a job leaves for later jobs and for people.
//!
//! [`upload`] selects files below the project folder, packs them while sending them, and repeats what the server could not
//! take; [`download`] fetches the archive of another job and extracts it without ever leaving the folder. Names, flags and
//! log lines are those of GitLab Runner's helper.

mod args;
mod download;
mod go_duration;
mod meter;
mod server;
mod upload;
#[cfg(test)]
mod virtual_site;

pub use args::{DownloaderArgs, MetadataArgs, ServerArgs, UploaderArgs};
pub use download::download;
pub use upload::upload;

pub use crate::files::Surroundings;
