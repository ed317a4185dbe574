//! The numbered scenarios of a runner's talk with GitLab, as far as the client decides them: one test each, to be found by
//! its number. Numbers that are missing here are those of the run loop, the configuration and the log.
//!
//! Most run against GitLab's side in this process ([`gitlab`]) or against prepared answers ([`script`]), under a clock that
//! stands still until everybody waits.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: a panic is the report")]

mod a_transport;
mod b_runners;
mod c_polling;
mod d_retries;
mod e_trace;
mod f_final;
mod g_artifacts;
mod gitlab;
#[path = "../it/script.rs"]
mod script;
