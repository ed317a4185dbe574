//! The seam between a job and the place where it runs.
//!
//! The core owns the job: its stages, scripts, log, retries, timeouts, masking and status. An *executor* owns the place:
//! it makes one, runs scripts in it, lets their output be read and tells how they ended. Two forms exist:
//!
//! | Form | Implement it when | Cost |
//! | --- | --- | --- |
//! | [`Provider`] + [`Environment`] | output and exit status outlive the manager; jobs can be adopted after a restart | full control |
//! | [`Executor`] through [`SimpleProvider`] | the place dies with the manager, or you want to start small | about a hundred lines |
//!
//! ```text
//! Provider ── acquire ─► Reservation ── environment(job) ─► Environment
//!                                                             │ handle()            journaled before anything exists
//!                                                             │ prepare()           ─► Place
//!                                                             │ start(stage)        idempotent by key
//!                                                             │ follow(stage, from) ─► frames … ended | broken
//!                                                             │ status · stop · cleanup
//! Provider ◄─ release ─ Reservation                           ▼
//! ```
//!
//! Rules that every implementation keeps:
//!
//! * Every call is cancel-safe: dropping its future loses no output, no status and nothing that exists outside.
//! * **Dropping an [`Environment`] detaches from it, it never kills.** Only [`Environment::stop`] and
//!   [`Environment::cleanup`] end anything.
//! * **An ended stream is not a result.** How a stage ended is read from [`Environment::status`] or carried by
//!   [`FollowEvent::Ended`], both keyed by stage and attempt; nothing that a job prints can be mistaken for it.
//! * No status means *unknown*: the core looks again and never assumes success.

mod environment;
mod error;
mod job;
mod place;
mod provider;
mod simple;
mod stage;

pub use environment::{
    CleanupReason, Environment, FollowStream, Handle, Notice, NoticeLevel, Notices, PrepareRequest, Remains,
};
pub use error::{Cause, EnvironmentError};
pub use job::{JobContext, JobKey, Slots};
pub use place::{Place, Shell};
pub use provider::{
    AcquireError, Adopter, Adoption, Capabilities, Capacity, Janitor, Orphan, Provider, ProviderInfo,
    Reservation,
};
pub use simple::{Executor, ExecutorFactory, Output, SimpleProvider};
pub use stage::{
    FollowEvent, Location, OutputFrame, OutputStream, SecretVariable, StageEnd, StageInput, StageKey,
    StageStatus, Started, Stop,
};
