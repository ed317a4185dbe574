//! What is remembered of a job's stages and of its end: everything that decides how it goes on.

use std::fmt;
use std::time::{Duration, SystemTime};

use runner_api::FailureReason;
use serde::{Deserialize, Serialize};

use crate::executor::{StageEnd, StageKey};

/// Why a job failed, or one of its stages: GitLab's reason, and the words for the job's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// GitLab's reason, before it is mapped to what the server knows.
    pub reason: FailureReason,
    /// Exit code of the script that failed.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// What happened, for people.
    pub text: String,
}

/// How one try of a stage went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageOutcome {
    /// It ended by itself.
    Ended(StageEnd),
    /// The core ended it.
    Stopped(StopReason),
    /// The core tried to end it, for this reason, and it goes on all the same.
    Stuck(StopReason),
    /// Its place is gone or does not answer; how it ended is not known.
    Lost(Failure),
    /// It was not run: the job asks for something that does not exist.
    Refused(String),
}

/// Why the core ends something before it ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// GitLab asked for it, gracefully.
    Canceled,
    /// The runner is being stopped.
    Interrupted,
    /// GitLab asked for it, at once.
    Aborted,
    /// The runner is being stopped, at once.
    InterruptedAtOnce,
    /// The job's time is over.
    JobTimeout(Limit),
    /// The stage's own time is over.
    StageTimeout(Limit),
}

/// How long something may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// What is limited.
    pub what: Limited,
    /// How long it may take.
    pub length: Duration,
}

/// What of a job has a time of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limited {
    /// All of it.
    Job,
    /// Preparing the environment, its first stage included.
    Preparing,
    /// All tries of getting the sources, with the pauses between them.
    Sources,
    /// All steps of the user together.
    Script,
    /// The user's `after_script`.
    AfterScript,
}

/// As messages name it.
impl fmt::Display for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Job => "execution",
            Self::Preparing => "preparing the environment",
            Self::Sources => "getting the sources",
            Self::Script => "the script",
            Self::AfterScript => "after_script",
        })
    }
}

/// A try of a stage that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageRecord {
    /// Which one.
    pub key: StageKey,
    /// How it went.
    pub outcome: StageOutcome,
}

/// A pause before another try of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// The try that comes after it.
    pub before: StageKey,
    /// When it is over.
    pub until: SystemTime,
}

/// How long the user's scripts may take, as it was decided when the first of them was due: it depends on what was left of the
/// job's time then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptLimits {
    /// All steps together; `None`: only the job's time counts.
    pub script: Option<Duration>,
    /// `after_script`.
    pub after_script: Duration,
}

/// How a job ended whose place may still have to be cleaned up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobOutcome {
    /// Why it failed; `None` is success.
    pub failure: Option<Failure>,
}
