//! The stage supervisor: runs one stage of a job beside the manager, so that the stage outlives it.
//!
//! One process per stage, one thread, no runtime. It owns what a pipe and a wait in the manager would lose: the processes of
//! the stage, everything that they print and how they end. The manager talks to it through the files of the stage's folder
//! only (`runner_frames::folder`).
//!
//! What holds at any time:
//!
//! * A folder's script runs at most once, whatever is started how often.
//! * What was printed is in the output file within one wake-up, in the order of arrival, also when it has no line end.
//! * When the main process has ended, or was asked to, nothing of the stage stays: what left its process group or session is
//!   found as a descendant, because the supervisor is the subreaper of all of them.
//! * The status is the last thing to appear. Its code and time are the main process's own.
//! * The supervisor waits in `poll(2)`; it wakes for output, requests, signals and deadlines.

mod control;
mod error;
mod folder;
mod log;
mod processes;
mod recorder;
mod shell;
mod signals;
mod supervise;
mod watch;

pub use error::SuperviseError;
pub use supervise::{Outcome, supervise};
