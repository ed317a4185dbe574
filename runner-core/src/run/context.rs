//! What the task of one job works with.

use std::sync::Arc;

use runner_api::{Client, Job};

use super::JobControl;
use crate::executor::{Provider, Reservation};
use crate::journal::{Assignment, Journal};
use crate::settings::{JobSettings, RunnerIdentity};
use crate::time::Clock;
use crate::variables::{Program, TlsFiles, VariableInputs};

/// What all jobs of one runner share.
#[derive(Debug)]
pub(crate) struct RunnerContext {
    pub(crate) identity: RunnerIdentity,
    pub(crate) settings: Arc<JobSettings>,
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) client: Client,
    pub(crate) program: Program,
    pub(crate) tls: TlsFiles,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// One accepted job.
#[derive(Debug)]
pub(crate) struct JobTask {
    pub(crate) runner: Arc<RunnerContext>,
    pub(crate) assignment: Assignment,
    pub(crate) job: Arc<Job>,
    pub(crate) reservation: Reservation,
    pub(crate) control: JobControl,
}

impl JobTask {
    pub(super) fn job(&self) -> &Job {
        &self.job
    }

    pub(super) fn variable_inputs(&self) -> VariableInputs<'_> {
        VariableInputs {
            job: &self.job,
            settings: &self.runner.settings,
            runner: &self.runner.identity,
            program: &self.runner.program,
            slots: self.assignment.slots,
            secrets: &[],
            tls: &self.runner.tls,
        }
    }
}
