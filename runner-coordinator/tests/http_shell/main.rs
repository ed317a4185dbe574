//! The coordinator on a socket.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod artifacts;
mod faults;
mod jobs;
mod local;
mod support;
