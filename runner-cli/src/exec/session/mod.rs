//! One run of a pipeline: who tells whom what.
//!
//! ```text
//! run      starts coordinator and runner, lets the session follow, ends them
//! prepare  from files and arguments to a session that can begin
//! follow   waits for what happens: jobs, times, the user
//! act      does what the pipelines ask for, at the coordinator
//! manual   asks which manual jobs to play
//! finish   says how it ended
//! ```

mod act;
mod finish;
mod follow;
mod manual;
mod news;
mod prepare;
mod run;
mod settings;
mod state;

pub(super) use run::{Plan, run};
pub(super) use settings::{images, job_tokens, play, settings};
pub(super) use state::{Run, Session};
