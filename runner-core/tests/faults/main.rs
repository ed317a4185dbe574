//! What each fault of GitLab or of the network costs a job, in virtual time: the whole run loop with the real client, GitLab's
//! side of the Runner API in this process, and a script that prints 40 lines in six seconds.
//!
//! Each test is a row of a table (docs/design/faults.md). It runs the job without the fault and with it, and asserts that the
//! job ends as it should, that its log is at the server to the last byte, and that it holds its slot no longer than the
//! fault itself lasts, and a second. The rows are printed: run it with `--nocapture`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the report")]
#![expect(clippy::print_stdout, reason = "the table is printed")]

mod ends;
mod final_state;
mod outages;
#[path = "../run_loop/support/payload.rs"]
#[expect(dead_code, reason = "the run loop's tests use the rest of it")]
mod payload;
mod requests;
mod row;
mod talker;
mod trace;
mod weak_points;
mod world;
