//! The small program beside the job: stage supervisor, artifacts, cache.
//!
//! Two binaries offer the same commands: `runner-helper`, which is small and goes into a job's place, and `runner`, so that on
//! one machine one binary is enough. Both try [`run_supervisor`] first, then
//! parse a [`Command`] and hand it to [`run`].

pub mod artifacts;
pub mod cache;
mod command;
mod files;
pub mod supervisor;

pub use command::{Command, NotBuilt, Process, SuperviseArgs, run, run_supervisor};
