//! The job's stages as data.
//!
//! A [`Plan`] says which stages a job has, in which order, when each of them runs, and what it does: a list of [`Op`]s that
//! [`script`](crate::script) turns into the text of a shell. A plan can be printed, compared and written to a journal: it
//! names secrets, it does not hold them.
//!
//! | Stage | Runs | Where |
//! | --- | --- | --- |
//! | `prepare_script` | first | helper |
//! | `get_sources`, `restore_cache`, `download_artifacts` | while nothing failed, several tries | helper |
//! | `clear_worktree` | between the first and the second try of `get_sources` | helper |
//! | `step_…`, in the payload's order | while nothing failed | job |
//! | `after_script` | once the steps were reached, however they ended | job |
//! | `archive_cache`, `upload_artifacts_on_success` | after a success | helper |
//! | `archive_cache_on_failure`, `upload_artifacts_on_failure` | after a failure | helper |
//! | `cleanup_file_variables` | last | helper |
//!
//! Preparing the place and resolving external secrets are not scripts and not part of it.

mod artifacts;
mod cache;
mod cache_key;
mod cleanup;
mod op;
mod remote;
mod rewrites;
mod sources;
mod stage;
mod steps;
mod submodules;
mod whole;

pub use crate::variables::{DirsError, JobDirs};
pub use op::{Command, Condition, GitConfigEntry, Op, Origin, Output, Secret, Style, UserCommand, UserInfo};
pub use stage::{Body, Runs, StageKind, StagePlan};
pub use whole::{Plan, PlanError, PlanInputs};
