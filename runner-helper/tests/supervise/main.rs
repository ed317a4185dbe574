//! The supervisor with real shells, real processes and real files.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "in tests a panic is the report")]

mod ends;
mod output;
mod stage;
mod starts;
mod stops;
