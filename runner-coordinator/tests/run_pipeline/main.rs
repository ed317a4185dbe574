//! Running compiled pipelines: statuses, scenarios, payloads, and the coordinator beside it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in a test a panic is the report"
)]

mod coordinator;
mod from_yaml;
mod keywords;
mod payload;
mod predefined;
mod random_graphs;
mod scenarios;
mod status;
mod support;
