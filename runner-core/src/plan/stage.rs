//! [`StagePlan`]: one stage.

use serde::{Deserialize, Serialize};

use super::op::Op;
use crate::executor::{Location, StageKey};

/// One stage of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagePlan {
    /// Position in the plan, from 0.
    pub ordinal: u16,
    /// What it is.
    pub kind: StageKind,
    /// Its name, which is also the name of its section in the log.
    pub name: String,
    /// The line that introduces it in the log.
    pub headline: String,
    /// Where it runs.
    pub location: Location,
    /// How often it is tried, from 1 to 10.
    pub attempts: u16,
    /// When it runs.
    pub runs: Runs,
    /// What it does.
    pub body: Body,
}

impl StagePlan {
    /// Names one try of the stage.
    pub fn key(&self, attempt: u16) -> StageKey {
        StageKey::new(self.ordinal, self.name.as_str(), attempt)
    }

    /// Whether there is nothing to do: the stage is skipped without a word in the log.
    pub fn is_empty(&self) -> bool {
        matches!(&self.body, Body::Ops(ops) if ops.is_empty())
    }

    /// Why the stage fails without running anything; a system failure of the job.
    pub fn refusal(&self) -> Option<&str> {
        match &self.body {
            Body::Refused(message) => Some(message),
            Body::Ops(_) => None,
        }
    }
}

/// What a stage does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// These things, in order, until one fails.
    Ops(Vec<Op>),
    /// Nothing: the job asks for something that does not exist. More tries do not help.
    Refused(String),
}

/// What a stage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StageKind {
    /// The first words from inside of the place.
    PrepareScript,
    /// Fetches the project.
    GetSources,
    /// Empties the work tree before sources are fetched again.
    ClearWorktree,
    /// Extracts caches.
    RestoreCache,
    /// Downloads artifacts of other jobs.
    DownloadArtifacts,
    /// A step of the user.
    Step,
    /// What the user wants to happen afterwards.
    AfterScript,
    /// Saves caches after a success.
    ArchiveCache,
    /// Saves caches after a failure.
    ArchiveCacheOnFailure,
    /// Uploads artifacts after a success.
    UploadArtifactsOnSuccess,
    /// Uploads artifacts after a failure.
    UploadArtifactsOnFailure,
    /// Removes what must not stay.
    CleanupFileVariables,
}

impl StageKind {
    /// Where stages of this kind run.
    pub fn location(self) -> Location {
        match self {
            StageKind::Step | StageKind::AfterScript => Location::Job,
            _ => Location::Helper,
        }
    }

    /// When stages of this kind run.
    pub fn runs(self) -> Runs {
        match self {
            StageKind::PrepareScript
            | StageKind::GetSources
            | StageKind::RestoreCache
            | StageKind::DownloadArtifacts
            | StageKind::Step => Runs::WhileGood,
            StageKind::ClearWorktree => Runs::BeforeSecondAttempt,
            StageKind::AfterScript => Runs::AfterSteps,
            StageKind::ArchiveCache | StageKind::UploadArtifactsOnSuccess => Runs::OnSuccess,
            StageKind::ArchiveCacheOnFailure | StageKind::UploadArtifactsOnFailure => Runs::OnFailure,
            StageKind::CleanupFileVariables => Runs::Last,
        }
    }
}

/// When a stage runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Runs {
    /// As long as no stage failed.
    WhileGood,
    /// Before the second try of the stage in front of it; its own failure uses that try up.
    BeforeSecondAttempt,
    /// When the steps were reached, however they ended.
    AfterSteps,
    /// When the steps succeeded.
    OnSuccess,
    /// When something up to the steps failed.
    OnFailure,
    /// At the end, however the job went; its failure changes nothing.
    Last,
}
