//! The client against prepared answers: in process, over TCP, over TLS.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: a panic is the report")]

mod coordinator;
mod downloads;
mod http;
mod jobs;
mod retries;
mod runners;
mod script;
mod storage;
mod tls;
