//! The run of one job: from its acceptance to the moment when GitLab has its whole log and its final state.
//!
//! ```text
//! Assignment (journaled) ─► open log ─► acknowledge ─► live: prepare ─► stages ─► clean up ─► verdict (journaled) ─► deliver
//!                                                         ▲
//!                  GitLab's answers · manager · embedder ─┴─ JobControl: graceful, interrupted, abort
//! ```
//!
//! A run owns its job's environment, log and sender; it is one task. What it knows that matters is written to the [journal](crate::journal).

mod context;
mod control;
mod deliver;
mod life;
mod open;
mod prepare;
mod record;
mod report;
mod resolve;
mod stage;
mod task;
mod words;

pub use control::JobControl;

pub(crate) use context::{JobTask, RunnerContext};
pub(crate) use open::info;
pub(crate) use resolve::{Resolution, resolve_job};
pub(crate) use task::run_job;
