//! The decoder of job payloads from outside: every field is typed, and nothing that a server may send loses a job.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod any_value;
mod fields;
mod journal;
mod odd;

use serde_json::Value;

/// A payload with every field that is known, none of them at its default.
const FULL: &str = include_str!("full.json");

/// [`FULL`], to be changed.
fn full() -> Value {
    serde_json::from_str(FULL).unwrap()
}
