//! Artifacts: what a job leaves for later jobs and for people.
//!
//! [`upload`] selects files below the project folder, packs them while sending them, and repeats what the server could not
//! take; [`download`] fetches the archive of another job and extracts it without ever leaving the folder. Names, flags and
//! log lines are those of GitLab Runner's helper.
//!
//! Nothing here reads the process's environment, its current folder or its standard streams: all of that comes in through
//! [`Surroundings`].

mod args;
mod download;
mod expand;
mod extract;
mod fatal;
mod glob;
mod go_duration;
mod meter;
mod pack;
mod report;
mod select;
mod server;
mod surroundings;
mod tree;
mod upload;

pub use args::{DownloaderArgs, MetadataArgs, ServerArgs, UploaderArgs};
pub use download::download;
pub use surroundings::Surroundings;
pub use upload::upload;
