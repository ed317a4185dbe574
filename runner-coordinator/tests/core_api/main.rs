//! The coordinator's core, request by request, without any I/O.

#![expect(clippy::needless_pass_by_value, reason = "bodies are written in place")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in a test a panic is the report"
)]

mod artifacts;
mod fault_text;
mod faults;
mod polling;
mod runners;
mod scenarios;
mod support;
mod trace;
mod updates;
