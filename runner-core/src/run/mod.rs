//! The run of one job: from its acceptance to the moment when GitLab has its whole log and its final state.
//!
//! ```text
//! Assignment (journaled) ─► open log ─► acknowledge ─► live: prepare ─► stages ─► clean up ─► verdict (journaled) ─► deliver
//!                                                         ▲
//!                  GitLab's answers · manager · embedder ─┴─ JobControl: graceful, interrupted, abort
//! ```
//!
//! A run owns its job's environment, log and sender; it is one task. What it knows that matters is written to the
//! [journal](crate::journal), so that another process can go on where this one is: the walk through the plan is repeated then past
//! what is written down, and what was said in the log is not said again.

mod cleanup;
mod context;
mod control;
mod deliver;
mod detach;
mod ending;
mod find;
mod guard;
mod life;
mod limits;
mod open;
mod prepare;
mod record;
mod refuse;
mod report;
mod resolve;
mod slots;
mod stage;
mod task;
mod walk;
mod words;

pub use control::JobControl;

pub(crate) use context::{JobTask, RunnerContext};
pub(crate) use guard::{guarded, guarded_now};
pub(crate) use open::info;
pub(crate) use refuse::Refusal;
pub(crate) use resolve::resolve_job;
pub(crate) use slots::SlotTable;
pub(crate) use task::run_job;
