//! Why a compiled pipeline cannot be run.

use super::expand::ExpandError;
use super::status::Status;

/// A pipeline that cannot be run as it is, or not with these settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The selection names a job that the pipeline does not have.
    #[error("no job {name:?} in the pipeline; it has: {}", available.join(", "))]
    UnknownJob {
        /// What was asked for.
        name: String,
        /// Names of all jobs.
        available: Vec<String>,
    },
    /// Two jobs have the same name.
    #[error("{name} job: defined twice in the pipeline")]
    DuplicateJob {
        /// The name.
        name: String,
    },
    /// A job's stage is not one of the pipeline's.
    #[error("{job} job: chosen stage {stage} does not exist; available stages are {}", available.join(", "))]
    UnknownStage {
        /// The job.
        job: String,
        /// Its stage.
        stage: String,
        /// The stages of the pipeline.
        available: Vec<String>,
    },
    /// A job needs one that is not in the pipeline.
    #[error("'{job}' job needs '{need}' job, but '{need}' does not exist in the pipeline")]
    MissingNeed {
        /// The job.
        job: String,
        /// What it needs.
        need: String,
    },
    /// A job needs one of a later stage.
    #[error("{job} job: need {need} is not defined in current or prior stages")]
    LaterNeed {
        /// The job.
        job: String,
        /// What it needs.
        need: String,
    },
    /// Jobs need each other in a circle.
    #[error("the pipeline has circular dependencies: {}", jobs.join(", "))]
    CircularNeeds {
        /// The jobs of the circle and those that wait for them.
        jobs: Vec<String>,
    },
    /// The variables of a job cannot be expanded.
    #[error("{job}: {source}")]
    Variables {
        /// The job.
        job: String,
        /// What is wrong.
        source: ExpandError,
    },
}

/// A job that cannot be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlayError {
    /// There is no such job.
    #[error("no job {name:?} in the pipeline")]
    UnknownJob {
        /// What was asked for.
        name: String,
    },
    /// It does not wait to be played.
    #[error("job {name:?} cannot be played: it is {status}")]
    NotWaiting {
        /// The job.
        name: String,
        /// Its status.
        status: Status,
    },
    /// The pipeline was canceled.
    #[error("job {name:?} cannot be played: the pipeline was canceled")]
    Canceled {
        /// The job.
        name: String,
    },
}
