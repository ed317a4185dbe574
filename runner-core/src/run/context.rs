//! What the task of one job works with.

use std::sync::Arc;

use runner_api::{Client, Job, JobClient};

use super::JobControl;
use super::limits::LONGEST;
use crate::executor::{JobContext, JobKey, Provider, Reservation};
use crate::journal::{Assignment, Journal};
use crate::observe::{Event, Happening, Observer};
use crate::session::{JobSession, Sessions};
use crate::settings::{JobSettings, RunnerIdentity};
use crate::time::Clock;
use crate::variables::{Program, TlsFiles, VariableInputs, Variables};

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
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) sessions: Arc<dyn Sessions>,
}

impl RunnerContext {
    /// Tells the observer.
    pub(crate) fn tell(&self, job: &JobKey, happening: Happening) {
        let event = Event { at: self.clock.now(), job: job.clone(), happening };
        crate::observe::tell(&*self.observer, &event);
    }
}

/// One accepted job.
#[derive(Debug)]
pub(crate) struct JobTask {
    pub(crate) runner: Arc<RunnerContext>,
    pub(crate) assignment: Assignment,
    pub(crate) job: Arc<Job>,
    pub(crate) reservation: Reservation,
    pub(crate) control: JobControl,
    /// Where users reach it, if there is such a place.
    pub(crate) session: Option<JobSession>,
    pub(crate) tls: TlsFiles,
}

impl JobTask {
    pub(super) fn job(&self) -> &Job {
        &self.job
    }

    /// Tells the observer.
    pub(super) fn tell(&self, happening: Happening) {
        self.runner.tell(&self.assignment.key, happening);
    }

    /// The line to GitLab for this job.
    pub(super) fn client(&self) -> JobClient {
        self.runner.client.job(self.job.id, self.job.token.clone())
    }

    /// The job as executors see it.
    pub(super) fn context(&self) -> JobContext {
        JobContext {
            key: self.assignment.key.clone(),
            job: self.job.clone(),
            variables: Variables::build(&self.variable_inputs(), None),
            slots: self.assignment.slots,
            timeout: self.job.runner_info.job_timeout().min(LONGEST),
        }
    }

    pub(super) fn variable_inputs(&self) -> VariableInputs<'_> {
        VariableInputs {
            job: &self.job,
            settings: &self.runner.settings,
            runner: &self.runner.identity,
            program: &self.runner.program,
            slots: self.assignment.slots,
            secrets: &[],
            tls: &self.tls,
        }
    }
}
