//! Settings of a coordinator.

use std::collections::BTreeMap;
use std::time::Duration;

/// How a [`Coordinator`](super::Coordinator) behaves. The defaults are those of a current GitLab, with three
/// exceptions that suit a host program: traces are taken to be watched, nothing limits artifacts, and a final update
/// is applied at once.
#[derive(Debug, Clone)]
pub struct Options {
    /// Seed of tokens, queue values and faults with a chance.
    pub seed: u64,
    /// Id of the first job.
    pub first_job: u64,
    /// Path below which the API lives when GitLab runs in a sub folder: empty, or `/sub/folder`.
    pub root: String,
    /// How long a job request whose `last_update` is current is held. Zero: not at all.
    pub long_poll: Duration,
    /// What a held job request gets when work arrives: `false` is GitLab's way, a `204` after which the runner is
    /// expected to ask again in its own rhythm; `true` hands out the job in the same answer, which saves that pause.
    pub held_requests_get_jobs: bool,
    /// Whether jobs handed to a runner that advertises `two_phase_job_commit` wait for its acknowledgement.
    pub two_phase_commit: bool,
    /// How long a job waits for its acknowledgement.
    pub acknowledge_within: Duration,
    /// A running job that nobody spoke of for so long fails with `no_updates_running`.
    pub stuck_after: Duration,
    /// A job that runs longer than its timeout and this fails with `server_timeout_running`. Ending it in time is its
    /// runner's business.
    pub timeout_grace: Duration,
    /// How long the old token of a runner stays valid after a reset. GitLab refuses it at once.
    pub token_grace: Duration,
    /// URL of a job router, the answer to `GET runners/router/discovery`; without, that is answered `501`. There is
    /// no router here.
    pub router_url: Option<String>,
    /// Trace update interval asked of the runner while somebody watches the trace (whole seconds).
    pub watched_interval: Duration,
    /// The same while nobody does.
    pub unwatched_interval: Duration,
    /// Largest trace in bytes; a longer one fails the job with `trace_size_exceeded`.
    pub trace_limit: u64,
    /// How long after the first final update with a checksum the trace counts as not yet stored; until then such
    /// updates are answered `202`.
    pub trace_store_time: Duration,
    /// Largest artifact in bytes; a larger one is answered `413`.
    pub artifact_limit: Option<u64>,
    /// The same for single types of artifacts (`junit`, …), instead of `artifact_limit`.
    pub artifact_type_limits: BTreeMap<String, u64>,
    /// How long artifacts are kept that do not say so themselves; for ever without.
    pub artifact_expire_in: Option<Duration>,
    /// Whether artifacts are enabled; if not, uploads are answered `405`.
    pub artifacts: bool,
    /// Whether registration tokens are accepted; if not, registration is answered `410`.
    pub registration: bool,
    /// Base URL of an object storage for `direct_download`; such downloads are answered `302` to a signed
    /// `storage/…` path below it. The coordinator itself serves that path, and needs no token for it.
    pub storage_url: Option<String>,
    /// Whether every request is kept in [`Coordinator::requests`](super::Coordinator::requests).
    pub record_requests: bool,
    /// Whether what faults did is kept in [`Coordinator::injected`](super::Coordinator::injected).
    pub record_faults: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            first_job: 1,
            root: String::new(),
            long_poll: Duration::from_secs(50),
            held_requests_get_jobs: false,
            two_phase_commit: true,
            acknowledge_within: Duration::from_secs(2 * 60),
            stuck_after: Duration::from_secs(60 * 60),
            timeout_grace: Duration::from_secs(15 * 60),
            token_grace: Duration::ZERO,
            router_url: None,
            watched_interval: Duration::from_secs(3),
            unwatched_interval: Duration::from_secs(60),
            trace_limit: 100 * 1024 * 1024,
            trace_store_time: Duration::ZERO,
            artifact_limit: None,
            artifact_type_limits: BTreeMap::new(),
            artifact_expire_in: Some(Duration::from_secs(30 * 24 * 60 * 60)),
            artifacts: true,
            registration: true,
            storage_url: None,
            record_requests: false,
            record_faults: false,
        }
    }
}
