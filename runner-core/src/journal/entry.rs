//! What is written down about a job, so that another process can take its place.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use runner_api::{FailureReason, Job};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::outcome::{JobOutcome, Limited, Pause, ScriptLimits, StageRecord, StopReason};
use crate::executor::{Handle, JobKey, Place, Slots, StageKey};
use crate::settings::JobSettings;
use crate::variables::{Program, TlsFiles};

/// Version of both records below, as they are written. Those of [`OLDEST_FORMAT`] and later are read; a record of another version is
/// left alone and said, never guessed at.
///
/// | Version | What it can tell |
/// | --- | --- |
/// | 1 | how a job is ended and reported whose manager died |
/// | 2 | how it goes on: on which terms, which stages are over and how, when limits end |
/// | 3 | the same; each change of the progress is one more line of its file, and the last one counts |
///
/// Changing the format: a new optional field with `#[serde(default)]` keeps the version when old and new programs both do the
/// right thing without it. Anything else raises the version, keeps reading the old one, and adds a sample of the old one to
/// the fixtures of `tests/journal`, which are never changed.
pub const FORMAT_VERSION: u32 = 3;

/// The oldest version that is still read.
pub const OLDEST_FORMAT: u32 = 1;

/// What is known when a job is accepted. Written once, before the job is acknowledged; never changed.
///
/// Holds the job's token, which is needed to report its end, but never the runner's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Assignment {
    /// [`FORMAT_VERSION`].
    pub version: u32,
    /// Which job of which runner.
    pub key: JobKey,
    /// URL of the GitLab instance.
    pub url: String,
    /// Name of the `[[runners]]` entry.
    pub runner_name: String,
    /// System id under which the job was requested.
    pub system_id: String,
    /// The job, written as GitLab sent it.
    pub job: Job,
    /// Numbers that the job holds.
    pub slots: Slots,
    /// When the job was accepted.
    pub accepted_at: SystemTime,
    /// On which terms it was accepted; `None`: by a program that could not go on with jobs after a restart.
    #[serde(default)]
    pub terms: Option<Terms>,
    /// Certificates that jobs need to trust GitLab, as PEM, if there are any.
    pub tls_chain: Option<String>,
    /// The client certificate with which the job was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_client: Option<ClientCertificate>,
}

/// What the configuration and the program said when a job was accepted. They may say something else when it goes on after a
/// restart, and that must not change a job in the middle: its variables, its plan and its log are made from these.
#[derive(Clone, Serialize, Deserialize)]
pub struct Terms {
    /// How the runner treats the job.
    pub settings: JobSettings,
    /// The program, as the job's variables name it.
    pub program: Program,
}

/// Settings may hold secrets of the operator.
impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terms").field("program", &self.program).finish_non_exhaustive()
    }
}

/// A client certificate and its key, as PEM.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClientCertificate {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    #[serde(serialize_with = "expose", deserialize_with = "hide")]
    pub key: SecretString,
}

/// The journal is where secrets may be written.
fn expose<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

fn hide<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

impl Assignment {
    /// What the job needs to reach GitLab over TLS.
    pub fn tls_files(&self) -> TlsFiles {
        let client = self.tls_client.as_ref();
        TlsFiles {
            ca: self.tls_chain.clone(),
            cert: client.map(|client| client.certificate.clone()),
            key: client.map(|client| client.key.clone()),
        }
    }
}

/// How far a job has come. Written again whenever one of its facts changes, before the change takes effect outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// [`FORMAT_VERSION`].
    pub version: u32,
    /// Where the job's environment can be found; set before anything outside exists.
    #[serde(default)]
    pub handle: Option<Handle>,
    /// The prepared place.
    #[serde(default)]
    pub place: Option<Place>,
    /// When the job has to be over.
    #[serde(default)]
    pub deadline: Option<SystemTime>,
    /// When what has a time of its own has to be over, for what has begun.
    #[serde(default)]
    pub limits: BTreeMap<Limited, SystemTime>,
    /// How long the user's scripts may take, once that was decided.
    #[serde(default)]
    pub script_limits: Option<ScriptLimits>,
    /// Tries of stages that are over, in their order. What they printed is in the log's checkpoint by then.
    #[serde(default)]
    pub stages: Vec<StageRecord>,
    /// The stage that was started last.
    #[serde(default)]
    pub stage: Option<StageKey>,
    /// Why that stage was asked to end, if it was; set before it is asked.
    #[serde(default)]
    pub stopping: Option<StopReason>,
    /// The last pause between two tries of a stage.
    #[serde(default)]
    pub pause: Option<Pause>,
    /// How the user's scripts ended, once they have.
    #[serde(default)]
    pub script: Option<Verdict>,
    /// Whether somebody asked the job to end.
    #[serde(default)]
    pub cancel: Option<CancelState>,
    /// How the job ended; set before its place is cleaned up.
    #[serde(default)]
    pub outcome: Option<JobOutcome>,
    /// The state that GitLab has to be told; set before it is told for the first time.
    #[serde(default)]
    pub verdict: Option<Verdict>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            version: FORMAT_VERSION,
            handle: None,
            place: None,
            deadline: None,
            limits: BTreeMap::new(),
            script_limits: None,
            stages: Vec::new(),
            stage: None,
            stopping: None,
            pause: None,
            script: None,
            cancel: None,
            outcome: None,
            verdict: None,
        }
    }
}

/// How a job, or its scripts, ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Why it failed; `None` is success.
    pub failure: Option<FailureReason>,
    /// Exit code of the script that failed.
    #[serde(default)]
    pub exit_code: Option<i32>,
}

impl Verdict {
    /// It did what it was asked to do.
    pub const SUCCESS: Verdict = Verdict { failure: None, exit_code: None };

    /// It failed for this reason.
    pub fn failed(reason: FailureReason) -> Self {
        Self { failure: Some(reason), exit_code: None }
    }

    /// Whether it succeeded.
    pub fn is_success(&self) -> bool {
        self.failure.is_none()
    }
}

/// Who asked a job to end, and how firmly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelState {
    /// GitLab, gracefully: `after_script` still runs.
    Graceful,
    /// GitLab, at once.
    Abort,
    /// The runner is being stopped: `after_script` still runs.
    Interrupted,
    /// The runner is being stopped, at once.
    InterruptedAtOnce,
}
