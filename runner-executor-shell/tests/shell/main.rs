//! The shell executor with real supervisors, shells and files.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in tests a panic is the report")]

mod adoption;
mod cleaning;
mod following;
mod host;
mod stages;
