//! What a run holds while it goes on.

use std::collections::HashMap;
use std::time::SystemTime;

use runner_coordinator::core::JobId;
use runner_coordinator::http::Handle;
use runner_coordinator::run::{Facts, PipelineRun};
use runner_core::manager::ManagerHandle;

use super::Plan;
use crate::exec::host::LocalHost;
use crate::exec::ui::Screen;
use crate::exec::variables::Given;

/// The pipelines and everybody around them.
pub(in crate::exec) struct Session<'a> {
    pub(in crate::exec) plan: &'a Plan<'a>,
    pub(in crate::exec) coordinator: Handle,
    /// The runner inside, for what must not wait until it asks.
    pub(super) runner: ManagerHandle,
    pub(in crate::exec) host: LocalHost,
    /// The pipeline that was asked for, then its children as they were started.
    pub(in crate::exec) runs: Vec<Run>,
    pub(in crate::exec) given: Given,
    pub(in crate::exec) screen: Screen,
    /// Whether somebody can be asked which manual jobs to play.
    pub(super) asks: bool,
    /// How much of each job's trace has been shown.
    pub(super) shown: HashMap<JobId, u64>,
    /// Which pipeline a job belongs to, and its name on the screen.
    pub(super) names: HashMap<JobId, (usize, String)>,
    pub(super) coverage: HashMap<JobId, String>,
    pub(in crate::exec) notes: Vec<String>,
    pub(super) begun: SystemTime,
}

/// One pipeline.
pub(in crate::exec) struct Run {
    pub(in crate::exec) pipeline: PipelineRun,
    pub(in crate::exec) facts: Facts,
    /// The pipeline and the job that started it.
    pub(in crate::exec) parent: Option<(usize, JobId)>,
    /// What stands in front of its jobs' names: `child/`.
    pub(in crate::exec) prefix: String,
    /// How many pipelines stand above it.
    pub(in crate::exec) level: usize,
    pub(super) wake: Option<SystemTime>,
    /// Its end was told to its parent.
    pub(super) told: bool,
}

impl Run {
    pub(in crate::exec) fn new(pipeline: PipelineRun, facts: Facts) -> Self {
        Self { pipeline, facts, parent: None, prefix: String::new(), level: 0, wake: None, told: false }
    }
}
