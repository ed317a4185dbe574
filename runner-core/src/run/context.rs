//! What the task of one job works with.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use runner_api::{Client, Job, JobClient};

use super::JobControl;
use super::limits::LONGEST;
use super::slots::SlotLease;
use crate::executor::{JobContext, JobKey, Provider, Reservation};
use crate::journal::{Assignment, Journal, Progress};
use crate::observe::{Event, Happening, Observer};
use crate::session::{JobSession, Sessions};
use crate::settings::{JobSettings, RunnerIdentity};
use crate::time::Clock;
use crate::variables::{Program, TlsFiles, VariableInputs, Variables};

/// What all jobs of one runner share.
#[derive(Debug, Clone)]
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

    /// The same for a job that was accepted on other terms: by an earlier process, with another configuration perhaps. How GitLab
    /// is reached, and the runner's token, are today's.
    pub(crate) fn on_terms_of(&self, assignment: &Assignment) -> Self {
        let mut context = self.clone();
        context.identity.name.clone_from(&assignment.runner_name);
        context.identity.system_id.clone_from(&assignment.system_id);
        if let Ok(url) = assignment.url.parse() {
            context.identity.url = url;
        }
        if let Some(terms) = &assignment.terms {
            context.settings = Arc::new(terms.settings.clone());
            context.program = terms.program.clone();
        }
        context
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
    /// The job's numbers, as long as it is in its place.
    pub(crate) lease: Mutex<Option<SlotLease>>,
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
            timeout: self.timeout(),
        }
    }

    /// Gives the job's numbers back: nothing of it is in the folders that they name any more. Another job may be waiting for the news of
    /// this one's end, and shall find the folders free.
    pub(super) fn leave_place(&self) {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Whether another process can go on with the job: its entry says on which terms it was accepted.
    pub(super) fn can_go_on(&self) -> bool {
        self.assignment.terms.is_some()
    }

    /// Whether the job's time is over.
    pub(super) fn is_out_of_time(&self, progress: &Progress) -> bool {
        progress.deadline.is_some_and(|deadline| deadline <= self.runner.clock.now())
    }

    /// How long the job may take.
    pub(super) fn timeout(&self) -> Duration {
        self.job.runner_info.job_timeout().min(LONGEST)
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
