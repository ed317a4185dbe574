//! The client and its calls.

mod answer;
mod artifacts;
mod builder;
mod download;
mod exchange;
mod job_client;
mod rate;
mod redirect;
mod request_job;
mod runners;
mod trace;
mod update;

pub use artifacts::{ArtifactUpload, Uploaded};
pub use builder::{Client, ClientBuilder};
pub use download::{DownloadOptions, DownloadTarget, Downloaded};
pub use job_client::JobClient;
pub use rate::RequestRate;
pub use request_job::{JobAnswer, JobRequest, SessionInfo};
pub use runners::{RegisterRequest, RunnerCredentials, TokenAnswer, Verified};
pub use trace::{PatchOutcome, PatchResult};
pub use update::{JobState, JobStatus, JobUpdate, UpdateOutcome, UpdateResult};
