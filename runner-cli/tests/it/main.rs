//! The program as its users see it: real processes, real git, real HTTP.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: a panic is the report")]

mod exec;
mod full_disk;
mod gallery;
mod process;
mod run;
mod runners;
mod scenarios;
mod signals;
mod support;
mod weak_points;
