//! The life of one job: a place is made, the plan is walked in it, the place is cleaned up.

use std::sync::Arc;
use std::time::Duration;

use runner_api::payload::PolicyOptions;
use runner_api::{FailureReason, Job};
use secrecy::{ExposeSecret, SecretString};

use super::JobControl;
use super::cleanup::clean_up;
use super::context::JobTask;
use super::guard::guarded;
use super::limits::{Limits, TimeLimit};
use super::prepare::{NoPlace, prepare};
use super::record::Record;
use super::report::cut_off;
use super::walk::Walk;
use super::words::Words;
use crate::executor::{CleanupReason, Environment, Place};
use crate::journal::{CancelState, Failure, JobOutcome, Limited};
use crate::log::{JobLog, LogError};
use crate::plan::{Plan, PlanError, PlanInputs};
use crate::variables::{FeatureFlags, JobDirs, VariableInputs, Variables};

/// Exit code of a job that asks for options that would silently do nothing, as GitLab's own runner has it.
const UNKNOWN_OPTIONS: i32 = 3;

/// Lives a job to its end; `None` is success. Nothing of it exists outside before.
///
/// # Errors
/// When the log cannot be written any more. The environment has been cleaned up then, too.
pub(super) async fn live(task: &JobTask, log: &JobLog, record: &Record) -> Result<Option<Failure>, LogError> {
    greet(task, log).await?;
    if let Some(failure) = unknown_options(task.job()).or_else(|| lost_script(task.job())) {
        return Ok(Some(failure));
    }
    let context = task.context();
    let environment = match task.runner.provider.environment(&task.reservation, &context) {
        Ok(environment) => Arc::<dyn Environment>::from(environment),
        Err(error) => return Ok(Some(Failure::of_environment(&error))),
    };
    // From here on something may exist outside: whoever finds this record knows where.
    record.update(|progress| {
        progress.handle = Some(environment.handle());
        progress.deadline.get_or_insert(task.runner.clock.now() + context.timeout);
    });
    in_environment(task, log, record, environment, Remains::Nothing).await
}

/// Goes on with a job of an earlier process in its environment; `None` is success.
///
/// # Errors
/// As [`live`].
pub(super) async fn live_on(
    task: &JobTask,
    log: &JobLog,
    record: &Record,
    environment: Box<dyn Environment>,
) -> Result<Option<Failure>, LogError> {
    greet(task, log).await?;
    in_environment(task, log, record, environment.into(), Remains::OfAnEarlierProcess).await
}

/// What may be in an environment whose place is not prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remains {
    Nothing,
    OfAnEarlierProcess,
}

async fn in_environment(
    task: &JobTask,
    log: &JobLog,
    record: &Record,
    environment: Arc<dyn Environment>,
    remains: Remains,
) -> Result<Option<Failure>, LogError> {
    let length = task.timeout();
    let now = task.runner.clock.now();
    let end = record.progress().deadline.unwrap_or(now + length);
    let life = Life {
        task,
        log,
        record,
        control: &task.control,
        environment: &environment,
        limit: TimeLimit::until(Limited::Job, length, end, now),
    };
    let lived = tokio::select! {
        biased;
        lived = guarded(life.stages(remains)) => {
            lived.unwrap_or_else(|panic| Ok(Some(Failure::of_panic(&panic))))
        }
        // A stage that prints nothing would go on without a log to its end.
        error = log.broken() => Err(error),
    };
    let failure = match &lived {
        Ok(failure) => failure.clone(),
        Err(error) => Some(Failure::of_log(error)),
    };
    // Before the place is gone: after that nobody could tell any more how the job went.
    record.update(|progress| progress.outcome = Some(JobOutcome { failure }));
    clean_up(environment.as_ref(), &task.assignment.key, CleanupReason::JobEnded).await;
    task.leave_place();
    lived
}

/// The first lines of the log.
async fn greet(task: &JobTask, log: &JobLog) -> Result<(), LogError> {
    let words = Words::new(log, "head");
    let (program, runner) = (&task.runner.program, &task.runner.identity);
    words.plain(&format!("Running with runner {} ({})", program.version, program.revision)).await?;
    let (name, token, system) = (&runner.name, runner.token.short(), &runner.system_id);
    words.plain(&format!("  on {name} {token}, system ID: {system}")).await?;
    let changed = FeatureFlags::of(&task.variable_inputs()).changed();
    if !changed.is_empty() {
        let list: Vec<String> = changed.iter().map(|(name, on)| format!("{name}:{on}")).collect();
        words.plain(&format!("  feature flags: {}", list.join(", "))).await?;
    }
    if let Some(policy) = task.job().policy_options.as_ref().filter(|policy| policy.execution_policy_job) {
        for line in policy_notice(policy) {
            words.info(&line).await?;
        }
    }
    for warning in task.job().warnings() {
        words.warning(&format!("the job's description: {warning}")).await?;
    }
    if !task.job().secrets.is_empty() {
        let names: Vec<&str> = task.job().secrets.keys().map(String::as_str).collect();
        words
            .warning(&format!("not supported: secrets ({}); these variables are not set", names.join(", ")))
            .await?;
    }
    Ok(())
}

/// What users are to know of the policy that made their job.
fn policy_notice(policy: &PolicyOptions) -> Vec<String> {
    let mut lines = vec![format!("Job of the policy \"{}\".", policy.policy_name)];
    let exceptions = policy.policy_variables_override_exceptions.join(", ");
    let but = if exceptions.is_empty() { String::new() } else { format!(", except {exceptions}") };
    lines.extend(policy.policy_variables_override_allowed.map(|allowed| match allowed {
        true => format!("User-defined variables may override those of the policy{but}."),
        false => format!("User-defined variables do not override those of the policy{but}."),
    }));
    lines
}

/// The failure of a job that asks for something of its images that would silently not happen.
fn unknown_options(job: &Job) -> Option<Failure> {
    let images = job.image.iter().map(|image| ("image", image));
    let images = images.chain(job.services.iter().map(|service| ("services", service)));
    let unknown: Vec<String> = images
        .flat_map(|(field, image)| {
            image.executor_opts.unknown.iter().map(move |option| format!("{field}:{option}"))
        })
        .collect();
    let text = format!("not supported: {} (options of the executor)", unknown.join(", "));
    let failure = Failure::new(FailureReason::RunnerSystemFailure, text);
    (!unknown.is_empty()).then_some(Failure { exit_code: Some(UNKNOWN_OPTIONS), ..failure })
}

/// The failure of a job whose script is not known as a whole: what is left of it might do harm, and must not succeed.
fn lost_script(job: &Job) -> Option<Failure> {
    let text = format!("the job's script cannot be read: {}", job.lost_script()?);
    Some(Failure::new(FailureReason::RunnerSystemFailure, text))
}

/// What all stages of a job share.
pub(super) struct Life<'a> {
    pub(super) task: &'a JobTask,
    pub(super) log: &'a JobLog,
    pub(super) record: &'a Record,
    pub(super) control: &'a JobControl,
    pub(super) environment: &'a Arc<dyn Environment>,
    /// The job's time.
    pub(super) limit: TimeLimit,
}

impl Life<'_> {
    async fn stages(&self, remains: Remains) -> Result<Option<Failure>, LogError> {
        let inputs = &self.task.variable_inputs();
        let words = Words::new(self.log, "plan");
        let length = self.task.runner.settings.prepare_timeout;
        let preparing = self.own_limit(&words, Limited::Preparing, "prepare_timeout", length).await?;
        let prepared = self.record.progress().place;
        let place = match prepared {
            Some(place) => place,
            None => match self.place(preparing, remains).await? {
                Ok(place) => place,
                Err(failure) => return Ok(Some(failure)),
            },
        };
        let planned = JobDirs::new(inputs, &place).map_err(PlanError::from).and_then(|dirs| {
            let variables = Variables::build(inputs, Some(&dirs));
            let plan = Plan::new(&PlanInputs { inputs, place: &place, dirs: &dirs, variables: &variables })?;
            Ok((plan, variables))
        });
        let (plan, variables) = match planned {
            Ok(planned) => planned,
            Err(error) => {
                return Ok(Some(Failure::new(FailureReason::RunnerConfigurationError, error.to_string())));
            }
        };
        self.log.mask_also(self.late_secrets(inputs, &variables)).await?;
        for warning in plan.warnings() {
            words.warning(warning).await?;
        }
        Walk::new(self, &plan, &variables, preparing).walk().await
    }

    async fn place(
        &self,
        limit: Option<TimeLimit>,
        remains: Remains,
    ) -> Result<Result<Place, Failure>, LogError> {
        let executor = self.task.runner.provider.info().executor;
        let section = "prepare_executor";
        let words = Words::new(self.log, section);
        words.open(section, &format!("Preparing the \"{executor}\" executor")).await?;
        let said = Words::unsteady(self.log, "prepare_executor said");
        let limits = Limits { job: self.limit, stage: limit, least: CancelState::Graceful };
        let key = &self.task.assignment.key;
        if remains == Remains::OfAnEarlierProcess {
            // As before another try: half of a place is none.
            clean_up(self.environment.as_ref(), key, CleanupReason::PrepareFailed).await;
        }
        let place = prepare(self.environment.as_ref(), key, &said, self.control, limits).await?;
        words.close(section).await?;
        Ok(match place {
            Ok(place) => {
                // What was said while it was made is not said again.
                self.log.commit().await?;
                self.record.update(|progress| progress.place = Some(place.clone()));
                if let Some(session) = &self.task.session {
                    session.attach(self.environment);
                }
                Ok(place)
            }
            Err(NoPlace::Failed(failure)) => Err(failure),
            Err(NoPlace::Stopped(reason)) => {
                if reason.is_timeout() {
                    words.warning(&cut_off(section)).await?;
                }
                Err(Failure::stopped(reason))
            }
        })
    }

    /// A limit from the configuration, the `setting`, that begins now; one that is not below the job's own is none.
    pub(super) async fn own_limit(
        &self,
        words: &Words,
        what: Limited,
        setting: &str,
        length: Option<Duration>,
    ) -> Result<Option<TimeLimit>, LogError> {
        let Some(length) = length.filter(|length| !length.is_zero()) else { return Ok(None) };
        if length > self.limit.limit.length {
            let text = format!("{setting} of the runner is longer than the job's time; using the job's time");
            words.warning(&text).await?;
            return Ok(None);
        }
        Ok(Some(self.record.limit(what, length)))
    }

    /// Values to mask that were not known when the log was opened, because they contain the job's folders.
    fn late_secrets(&self, inputs: &VariableInputs<'_>, variables: &Variables) -> Vec<SecretString> {
        let job = self.task.job();
        let known = Variables::build(inputs, None).secrets(job);
        let is_new =
            |secret: &SecretString| known.iter().all(|known| known.expose_secret() != secret.expose_secret());
        variables.secrets(job).into_iter().filter(is_new).collect()
    }
}
