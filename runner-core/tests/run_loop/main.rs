//! The run of jobs and the run loop, against GitLab's side of the Runner API.
//!
//! Two grounds: real HTTP with real processes, and virtual time in one process with places that do what a test says.

#![expect(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the report")]

mod support;

mod adoption;
mod attempts;
mod chaos;
mod clocks;
mod crash;
mod delivery;
mod detach;
mod ends;
mod events;
mod full_disk;
mod inherited;
mod panics;
mod places;
mod polling;
mod refusals;
mod scenarios;
mod sessions;
mod stages;
mod stopping;
mod weak_points;
mod wire;
