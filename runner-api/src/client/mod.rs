//! The client and its calls.

mod accept;
mod answer;
mod artifacts;
mod builder;
mod download;
mod exchange;
mod job_client;
mod pool;
mod rate;
mod redirect;
mod refusal;
mod request_job;
mod router;
mod runners;
mod tls;
mod trace;
mod update;

pub use accept::Acceptance;
pub use artifacts::{ArtifactUpload, Uploaded};
pub use builder::{Client, ClientBuilder};
pub use download::{DownloadOptions, DownloadTarget, Downloaded, RangeOptions};
pub use job_client::JobClient;
pub use pool::{ClientKey, ClientPool};
pub use rate::RequestRate;
pub use refusal::JobRefusal;
pub use request_job::{JobAnswer, JobRequest, SessionInfo};
pub use router::RouterDiscovery;
pub use runners::{RegisterRequest, RunnerCredentials, TokenAnswer, Verified};
pub use trace::{PatchOutcome, PatchResult};
pub use update::{JobState, JobStatus, JobUpdate, UpdateOutcome, UpdateResult};
