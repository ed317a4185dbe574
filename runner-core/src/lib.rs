//! Job model, scripts, log path, executor traits, run loop and journal of the runner.
//!
//! ```text
//! payload ─► variables ─► plan ─► scripts ─► Environment (executor) ─► frames ─► log ─► GitLab
//!                                   ▲                                    │
//!                                   └───────────── run ◄── stage ends ───┘        journal: what survives a restart
//! ```
//!
//! | Module | What lives there |
//! | --- | --- |
//! | [`executor`] | the traits by which jobs get a place to run |
//! | [`settings`] | what a runner entry says, resolved |
//! | [`variables`] | the job's variables: sources, precedence, expansion, settings read from them |
//! | [`plan`] | the job's stages as data |
//! | [`script`] | bash text for the stages of a plan |
//! | [`log`] | from frames to GitLab: mask, limit, spool, send, repair, drain |
//! | [`journal`] | what survives the death of the manager |
//! | [`run`] | the run of one job |
//! | [`manager`] | the run loop: polls, keeps slots, starts runs, stops in order |
//! | [`observe`] | what happens to jobs, as typed events |
//! | [`session`] | where users reach a job while it runs, as a parameter |
//! | [`task`] | who runs tasks, as a parameter |
//! | [`time`] | wall-clock time as a parameter |
//! | `conformance` | with the feature of that name: the suite by which an executor proves itself |

#[cfg(feature = "conformance")]
pub mod conformance;
mod errors;
pub mod executor;
pub mod journal;
mod last_line;
pub mod log;
pub mod manager;
pub mod observe;
pub mod plan;
pub mod run;
pub mod script;
pub mod session;
pub mod settings;
pub mod task;
pub mod time;
pub mod variables;
