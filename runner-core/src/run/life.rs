//! The life of one job: prepare, walk the plan, clean up. Decides what still runs after a failure, and what is reported.
//!
//! | What happened | What still runs |
//! | --- | --- |
//! | preparing the place or the first stage in it fails | the environment's cleanup |
//! | sources, cache or artifacts cannot be fetched | stages for failures, cleanup stage |
//! | a step fails, is canceled or takes too long | after_script, stages for failures, cleanup stage |
//! | the job's time is over, an abort, a lost place | the environment's cleanup |

use std::time::Duration;

use runner_api::FailureReason;
use tokio::time::{Instant, sleep};

use super::JobControl;
use super::context::JobTask;
use super::prepare::prepare;
use super::record::Record;
use super::report::{Failure, Timeouts, cut_off};
use super::stage::{StageLimits, StageOutcome, StopReason, run_stage, stop_reason};
use super::words::Words;
use crate::executor::{CleanupReason, Environment, JobContext, StageKey};
use crate::journal::{CancelState, Verdict};
use crate::log::{JobLog, LogError};
use crate::plan::{Plan, PlanInputs, Runs, StageKind, StagePlan};
use crate::script::{self, ScriptError, StageContext};
use crate::variables::{FeatureFlags, JobDirs, JobStatus, VariableInputs, Variables};

/// How long an environment's cleanup may take.
const CLEANUP: Duration = Duration::from_secs(60);
/// Pause before the second try of a stage; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Lives a job to its end; `None` is success.
///
/// # Errors
/// When the log cannot be written any more. The environment has been cleaned up then, too.
pub(super) async fn live(
    task: &JobTask,
    log: &JobLog,
    record: &mut Record,
) -> Result<Option<Failure>, LogError> {
    let words = Words::new(log.clone(), task.runner.clock.clone());
    let inputs = task.variable_inputs();
    greet(task, &words, &inputs).await?;

    let context = JobContext {
        key: task.assignment.key.clone(),
        job: task.job.clone(),
        variables: Variables::build(&inputs, None),
        slots: task.assignment.slots,
        timeout: task.job().runner_info.job_timeout(),
    };
    let environment = match task.runner.provider.environment(&task.reservation, &context) {
        Ok(environment) => environment,
        Err(error) => return Ok(Some(Failure::of_environment(&error))),
    };
    // From here on something may exist outside: whoever finds this record knows where.
    record.update(|progress| {
        progress.handle = Some(environment.handle());
        progress.deadline = Some(task.runner.clock.now() + context.timeout);
    });
    let life = Life {
        task,
        log,
        words: &words,
        control: &task.control,
        environment: environment.as_ref(),
        deadline: Instant::now() + context.timeout,
        timeout: context.timeout,
    };
    let failure = life.stages(&inputs, record).await;
    life.clean_up().await;
    failure
}

/// The first lines of the log.
async fn greet(task: &JobTask, words: &Words, inputs: &VariableInputs<'_>) -> Result<(), LogError> {
    let (program, runner) = (&task.runner.program, &task.runner.identity);
    words.plain(&format!("Running with runner {} ({})", program.version, program.revision)).await?;
    let (name, token, system) = (&runner.name, runner.token.short(), &runner.system_id);
    words.plain(&format!("  on {name} {token}, system ID: {system}")).await?;
    let changed = FeatureFlags::of(inputs).changed();
    if !changed.is_empty() {
        let list: Vec<String> = changed.iter().map(|(name, on)| format!("{name}:{on}")).collect();
        words.plain(&format!("  feature flags: {}", list.join(", "))).await?;
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

/// What all stages of a job share.
struct Life<'a> {
    task: &'a JobTask,
    log: &'a JobLog,
    words: &'a Words,
    control: &'a JobControl,
    environment: &'a dyn Environment,
    deadline: Instant,
    timeout: Duration,
}

/// How far a job may still go after a stage.
enum Next {
    /// On with the plan.
    Go,
    /// Only what is meant for failures.
    Fail(Failure),
    /// Nothing but the environment's cleanup.
    Halt(Failure),
}

impl Life<'_> {
    async fn stages(
        &self,
        inputs: &VariableInputs<'_>,
        record: &mut Record,
    ) -> Result<Option<Failure>, LogError> {
        let place = match self.place(record).await? {
            Ok(place) => place,
            Err(failure) => return Ok(Some(failure)),
        };
        let planned = JobDirs::new(inputs, &place).map_err(crate::plan::PlanError::from).and_then(|dirs| {
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
        for warning in plan.warnings() {
            self.words.warning(warning).await?;
        }
        Walk { life: self, plan: &plan, variables: &variables }.walk(record).await
    }

    async fn place(&self, record: &mut Record) -> Result<Result<crate::executor::Place, Failure>, LogError> {
        let settings = &self.task.runner.settings;
        let (limit, what) = match settings.prepare_timeout {
            Some(limit) if !limit.is_zero() && limit < self.timeout => (limit, Some(("preparing", limit))),
            _ => (self.timeout, None),
        };
        let deadline = Instant::now() + limit;
        let timeouts = Timeouts { job: what.map_or(self.timeout, |(_, limit)| limit), stage: what };
        let executor = self.task.runner.provider.info().executor;
        let section = "prepare_executor";
        self.words.open(section, &format!("Preparing the \"{executor}\" executor")).await?;
        let place = prepare(self.environment, self.words, self.control, deadline, timeouts).await?;
        self.words.close(section).await?;
        if let Ok(place) = &place {
            record.update(|progress| progress.place = Some(place.clone()));
        }
        Ok(place)
    }

    async fn clean_up(&self) {
        match self.environment.cleanup(CleanupReason::JobEnded, CLEANUP).await {
            Ok(remains) if remains.items.is_empty() => {}
            Ok(remains) => {
                for item in &remains.items {
                    tracing::warn!(job = %self.task.assignment.key, remains = %item, "cleaning up left something behind");
                }
            }
            Err(error) => tracing::warn!(job = %self.task.assignment.key, %error, "cleaning up failed"),
        }
    }
}

/// A walk through the stages of a plan.
struct Walk<'a> {
    life: &'a Life<'a>,
    plan: &'a Plan,
    variables: &'a Variables,
}

impl Walk<'_> {
    async fn walk(&self, record: &mut Record) -> Result<Option<Failure>, LogError> {
        let mut failure = None;
        let mut steps_reached = false;
        let mut status = JobStatus::Success;
        let mut steps_deadline = None;
        for stage in self.plan.stages().iter().filter(|stage| stage.runs == Runs::WhileGood) {
            if stage.kind == StageKind::Step && !steps_reached {
                steps_reached = true;
                steps_deadline = self.script_deadline().await?;
            }
            let deadline =
                if stage.kind == StageKind::Step { steps_deadline } else { self.deadline_of(stage) };
            match self.stage(stage, deadline, CancelState::Graceful, JobStatus::Running, record).await? {
                Next::Go => {}
                Next::Fail(found) => {
                    status = status_after(&found);
                    failure = Some(found);
                    break;
                }
                Next::Halt(found) => return Ok(Some(found)),
            }
        }
        let verdict = failure.as_ref().map_or(Verdict::SUCCESS, Failure::verdict);
        record.update(|progress| progress.script = Some(verdict));

        if steps_reached {
            match self.after_script(status, record).await? {
                Next::Go => {}
                Next::Fail(found) => failure = failure.or(Some(found)),
                Next::Halt(found) => return Ok(Some(failure.unwrap_or(found))),
            }
        }
        let runs =
            if status == JobStatus::Success && failure.is_none() { Runs::OnSuccess } else { Runs::OnFailure };
        for stage in self.plan.stages().iter().filter(|stage| stage.runs == runs) {
            match self.stage(stage, None, CancelState::Abort, status, record).await? {
                Next::Go => {}
                // The first failure of a job is the one that is reported.
                Next::Fail(found) => failure = failure.or(Some(found)),
                Next::Halt(found) => return Ok(Some(failure.unwrap_or(found))),
            }
        }
        for stage in self.plan.stages().iter().filter(|stage| stage.runs == Runs::Last) {
            match self.stage(stage, None, CancelState::Abort, status, record).await? {
                Next::Go => {}
                Next::Fail(found) => {
                    tracing::warn!(job = %self.life.task.assignment.key, reason = %found, "cleanup stage failed");
                }
                Next::Halt(found) => return Ok(Some(failure.unwrap_or(found))),
            }
        }
        Ok(failure)
    }

    async fn after_script(&self, status: JobStatus, record: &mut Record) -> Result<Next, LogError> {
        let Some(stage) = self.plan.stages().iter().find(|stage| stage.runs == Runs::AfterSteps) else {
            return Ok(Next::Go);
        };
        let deadline = Some(Instant::now() + self.plan.options().after_script_timeout);
        let next = self.stage(stage, deadline, CancelState::Abort, status, record).await?;
        let Next::Fail(failure) = next else { return Ok(next) };
        if !self.plan.options().after_script_ignore_errors {
            return Ok(Next::Fail(failure));
        }
        let text = format!("after_script failed, but job will continue unaffected: {}", failure.text);
        self.life.words.warning(&text).await?;
        Ok(Next::Go)
    }

    /// Runs a stage with all its tries.
    async fn stage(
        &self,
        stage: &StagePlan,
        deadline: Option<Instant>,
        least: CancelState,
        status: JobStatus,
        record: &mut Record,
    ) -> Result<Next, LogError> {
        if stage.is_empty() {
            return Ok(Next::Go);
        }
        let mut attempt = 1;
        let mut pause = FIRST_PAUSE;
        loop {
            let outcome = self.attempt(stage, attempt, deadline, least, status, record).await?;
            let next = self.judge(stage, outcome).await?;
            let Next::Fail(failure) = next else { return Ok(next) };
            if attempt >= stage.attempts || stage.refusal().is_some() {
                return Ok(Next::Fail(failure));
            }
            attempt += 1;
            self.life.words.warning("Retrying...").await?;
            tokio::select! {
                () = sleep(pause) => {}
                reason = stop_reason(self.life.control, least, self.life.deadline) => {
                    return self.judge(stage, StageOutcome::Stopped(reason)).await;
                }
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            if attempt == 2 {
                let between = self.plan.stages().iter().find(|other| {
                    other.runs == Runs::BeforeSecondAttempt && stage.kind == StageKind::GetSources
                });
                if let Some(between) = between {
                    let outcome = self.attempt(between, 1, deadline, least, status, record).await?;
                    match self.judge(between, outcome).await? {
                        Next::Go => {}
                        // A second try in a folder that could not be emptied would prove nothing.
                        Next::Fail(_) if stage.attempts > 2 => attempt += 1,
                        next => return Ok(next),
                    }
                }
            }
        }
    }

    async fn attempt(
        &self,
        stage: &StagePlan,
        attempt: u16,
        deadline: Option<Instant>,
        least: CancelState,
        status: JobStatus,
        record: &mut Record,
    ) -> Result<StageOutcome, LogError> {
        let life = self.life;
        let key: StageKey = stage.key(attempt);
        life.words.open(&stage.name, &stage.headline).await?;
        let context = StageContext { job: life.task.job(), variables: self.variables, job_status: status };
        let input = match script::render(self.plan, stage, &context) {
            Ok(input) => input,
            Err(ScriptError::Refused(text)) => {
                life.words.close(&stage.name).await?;
                return Ok(StageOutcome::Refused(text));
            }
        };
        record.update(|progress| progress.stage = Some(key.clone()));
        let limits = StageLimits {
            job_deadline: life.deadline,
            stage_deadline: deadline,
            least,
            grace: life.task.runner.settings.grace,
        };
        let outcome = run_stage(life.environment, life.log, life.control, &key, input, limits).await?;
        life.words.close(&stage.name).await?;
        Ok(outcome)
    }

    /// What follows from a stage's outcome.
    async fn judge(&self, stage: &StagePlan, outcome: StageOutcome) -> Result<Next, LogError> {
        let life = self.life;
        let timeouts = Timeouts { job: life.timeout, stage: self.limit_of(stage) };
        let Some(failure) = Failure::of_stage(&outcome, timeouts) else { return Ok(Next::Go) };
        Ok(match outcome {
            StageOutcome::Ended(_) if stage.kind == StageKind::PrepareScript => {
                let hint = "see https://docs.gitlab.com/runner/shells/#shell-profile-loading";
                Next::Halt(Failure {
                    text: format!("prepare environment: {} ({hint})", failure.text),
                    ..failure
                })
            }
            StageOutcome::Ended(_) | StageOutcome::Refused(_) => Next::Fail(failure),
            StageOutcome::Stopped(StopReason::StageTimeout) => {
                life.words.warning(&cut_off(&stage.name)).await?;
                match stage.kind {
                    StageKind::GetSources => Next::Halt(failure),
                    _ => Next::Fail(failure),
                }
            }
            StageOutcome::Stopped(StopReason::JobTimeout) => {
                life.words.warning(&cut_off(&stage.name)).await?;
                Next::Halt(failure)
            }
            StageOutcome::Stopped(reason @ (StopReason::Canceled | StopReason::Interrupted)) => {
                if stage.kind != StageKind::Step {
                    return Ok(Next::Halt(failure));
                }
                if reason == StopReason::Canceled {
                    life.words.warning("script canceled externally (UI, API)").await?;
                }
                Next::Fail(failure)
            }
            StageOutcome::Stopped(StopReason::Aborted) | StageOutcome::Lost(_) => Next::Halt(failure),
        })
    }

    /// When all steps together have to be over, if the job says so.
    async fn script_deadline(&self) -> Result<Option<Instant>, LogError> {
        let Some(limit) = self.plan.options().script_timeout else { return Ok(None) };
        if Instant::now() + limit > self.life.deadline {
            let text = "RUNNER_SCRIPT_TIMEOUT is longer than what is left of the job's time and is ignored";
            self.life.words.warning(text).await?;
            return Ok(None);
        }
        Ok(Some(Instant::now() + limit))
    }

    fn deadline_of(&self, stage: &StagePlan) -> Option<Instant> {
        self.limit_of(stage).map(|(_, limit)| Instant::now() + limit)
    }

    /// The stage's own limit and how messages call it.
    fn limit_of(&self, stage: &StagePlan) -> Option<(&'static str, Duration)> {
        let options = self.plan.options();
        match stage.kind {
            StageKind::GetSources => self
                .life
                .task
                .runner
                .settings
                .get_sources_timeout
                .filter(|limit| !limit.is_zero() && *limit < self.life.timeout)
                .map(|limit| ("getting the sources", limit)),
            StageKind::Step => options.script_timeout.map(|limit| ("the script", limit)),
            StageKind::AfterScript => Some(("after_script", options.after_script_timeout)),
            _ => None,
        }
    }
}

fn status_after(failure: &Failure) -> JobStatus {
    match failure.reason {
        FailureReason::JobCanceled | FailureReason::RunnerInterrupted => JobStatus::Canceled,
        FailureReason::JobExecutionTimeout => JobStatus::TimedOut,
        _ => JobStatus::Failed,
    }
}
