//! The artifact commands against a server of prepared answers, with real files.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is the report")]

mod coordinator;
mod download;
mod fixture;
mod server;
mod upload;
