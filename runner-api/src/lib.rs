//! Typed client of GitLab's Runner API: register, request jobs, stream logs, move artifacts.
//!
//! * [`Client`] makes the calls about a runner; [`JobClient`] those about one job. Both are built by
//!   [`ClientBuilder`].
//! * [`Job`] is what the server hands out, decoded so tolerantly that an assigned job is never lost; the parts of it are
//!   in [`payload`].
//! * Outcomes of updates and trace pieces are values to decide by: [`UpdateOutcome`], [`PatchOutcome`]. Other calls give
//!   an opaque [`Error`] with predicates.
//! * Requests leave through a [`Transport`](transport::Transport): HTTP by default, anything in tests.
//! * Repeating is described by [`retry`], and can be turned off. A client can also keep to a [`RequestRate`] of its own.
//! * Artifacts go up from anything that can be opened again, and come down in parallel ranges ([`RangeOptions`]) or into any
//!   writer; memory does not grow with them.
//! * An [`Observer`] learns of every call what metrics need.
//!
//! Tokens are types of their own, which never print. No type of the HTTP or TLS library appears in a signature, with one
//! exception on purpose: a `reqwest` client can be passed in, or the making of it changed.
//!
//! # Features
//!
//! `tls-ring` (default) or `tls-aws-lc-rs` bring the default transport with that crypto provider. Without either there
//! is no HTTP library in the graph, and a transport must be passed in.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod base_url;
mod checksum;
mod client;
mod endpoint;
mod error;
mod error_example;
mod failure;
mod info;
mod observe;
pub mod payload;
pub mod retry;
mod secret;
mod text_enum;
pub mod transport;

pub use base_url::BaseUrl;
pub use checksum::TraceOutput;
pub use client::{
    Acceptance, ArtifactUpload, Client, ClientBuilder, ClientKey, ClientPool, DownloadOptions,
    DownloadTarget, Downloaded, JobAnswer, JobClient, JobRefusal, JobRequest, JobState, JobStatus, JobUpdate,
    PatchOutcome, PatchResult, RangeOptions, RegisterRequest, RequestRate, RouterDiscovery,
    RunnerCredentials, SessionInfo, TokenAnswer, UpdateOutcome, UpdateResult, Uploaded, Verified,
};
pub use endpoint::Endpoint;
pub use error::Error;
pub use failure::FailureReason;
pub use info::{Features, RunnerConfigInfo, RunnerInfo};
pub use observe::{CallReport, Observer};
pub use payload::{Job, UnreadableJob};
pub use secret::{JobToken, RegistrationToken, RunnerToken, SecretText};
