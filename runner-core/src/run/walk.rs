//! The walk through a plan: decides what still runs after a failure, and which failure is reported.
//!
//! | What happened | What still runs |
//! | --- | --- |
//! | the first stage fails, or takes too long | nothing |
//! | sources take too long | nothing |
//! | sources, cache or artifacts cannot be fetched | stages for failures, cleanup stage |
//! | a step fails, is canceled or takes too long | after_script, stages for failures, cleanup stage |
//! | an ask to end before the steps | nothing |
//! | an ask to end after the steps | everything |
//! | the job's time is over, an abort, a lost place, a stage that does not end | nothing |
//!
//! The environment's cleanup always runs; it is not the walk's.
//!
//! The walk itself remembers nothing: which way it goes follows from the plan, and from how the stages went, which the record
//! knows. After a restart it is walked again from the beginning, past the stages that are over, up to the one that is not.

use std::time::Duration;

use runner_api::FailureReason;
use tokio::time::sleep;

use super::life::Life;
use super::limits::{Limits, TimeLimit, after};
use super::report::cut_off;
use super::stage::StageRun;
use super::words::Words;
use crate::journal::{CancelState, Failure, Limited, ScriptLimits, StageOutcome, StopReason, Verdict};
use crate::log::LogError;
use crate::observe::Happening;
use crate::plan::{Plan, Runs, StageKind, StagePlan};
use crate::script::{self, ScriptError, StageContext};
use crate::variables::{JobStatus, Variables, flags};

/// Limit for after_script when the job's own cannot be used.
const AFTER_SCRIPT_TIMEOUT: Duration = Duration::from_secs(300);

/// Pauses between tries of a stage: the first one, doubled up to the longest one.
struct Pauses {
    next: Duration,
    longest: Duration,
}

/// A walk through the stages of a plan.
pub(super) struct Walk<'a> {
    life: &'a Life<'a>,
    plan: &'a Plan,
    variables: &'a Variables,
    /// Began with the preparation of the place, which the first stage is a part of.
    preparing: Option<TimeLimit>,
}

/// How far a job may still go after a stage.
enum Next {
    /// On with the plan.
    Go,
    /// Only what is meant for failures.
    Fail(Failure),
    /// Nothing: the place is of no more use.
    Halt(Failure),
    /// Nothing, and this counts more than what happened before: the job's time is over, or it is not wanted any more.
    Over(Failure),
}

/// How a stage is run.
#[derive(Clone, Copy)]
struct How {
    limit: Option<TimeLimit>,
    /// The weakest wish that ends it.
    least: CancelState,
    /// What scripts see as `CI_JOB_STATUS`.
    status: JobStatus,
}

impl How {
    /// Up to the steps.
    fn up_to_steps(limit: Option<TimeLimit>) -> Self {
        Self { limit, least: CancelState::Graceful, status: JobStatus::Running }
    }

    /// After the steps: a graceful ask to end comes too late.
    fn after_steps(limit: Option<TimeLimit>, status: JobStatus) -> Self {
        Self { limit, least: CancelState::Abort, status }
    }
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        life: &'a Life<'a>,
        plan: &'a Plan,
        variables: &'a Variables,
        preparing: Option<TimeLimit>,
    ) -> Self {
        Self { life, plan, variables, preparing }
    }

    /// Walks to the end; `None` is success.
    pub(super) async fn walk(&self) -> Result<Option<Failure>, LogError> {
        if let Some(failure) = self.strange_stage() {
            return Ok(Some(failure));
        }
        let mut failure = None;
        let mut stages = self.stages(Runs::WhileGood).filter(|stage| stage.kind != StageKind::Step);
        let fetched = loop {
            let Some(stage) = stages.next() else { break true };
            let limit = self.limit_of(stage).await?;
            match self.stage(stage, How::up_to_steps(limit)).await? {
                Next::Go => {}
                Next::Fail(found) => {
                    failure = Some(found);
                    break false;
                }
                Next::Halt(found) | Next::Over(found) => return Ok(Some(found)),
            }
        };
        let mut status = if fetched { JobStatus::Success } else { JobStatus::Failed };
        let (script_limit, after_script_limit) =
            if fetched { self.script_limits().await? } else { (None, AFTER_SCRIPT_TIMEOUT) };
        if fetched {
            for stage in self.stages(Runs::WhileGood).filter(|stage| stage.kind == StageKind::Step) {
                match self.stage(stage, How::up_to_steps(script_limit)).await? {
                    Next::Go => {}
                    Next::Fail(found) => {
                        status = status_after(&found);
                        failure = Some(found);
                        break;
                    }
                    Next::Halt(found) | Next::Over(found) => return Ok(Some(found)),
                }
            }
        }
        let verdict = failure.as_ref().map_or(Verdict::SUCCESS, Failure::verdict);
        self.life.record.update(|progress| progress.script = Some(verdict));

        if fetched {
            match self.after_script(status, after_script_limit).await? {
                Next::Go => {}
                Next::Fail(found) => failure = failure.or(Some(found)),
                Next::Halt(found) => return Ok(failure.or(Some(found))),
                Next::Over(found) => return Ok(Some(found)),
            }
        }
        let runs = if failure.is_none() { Runs::OnSuccess } else { Runs::OnFailure };
        for stage in self.stages(runs) {
            match self.stage(stage, How::after_steps(None, status)).await? {
                Next::Go => {}
                // The first failure of a job is the one that is reported.
                Next::Fail(found) => failure = failure.or(Some(found)),
                Next::Halt(found) => return Ok(failure.or(Some(found))),
                Next::Over(found) => return Ok(Some(found)),
            }
        }
        for stage in self.stages(Runs::Last) {
            match self.stage(stage, How::after_steps(None, status)).await? {
                Next::Go => {}
                Next::Fail(found) | Next::Halt(found) => {
                    tracing::warn!(job = %self.life.task.assignment.key, reason = %found, "cleanup stage failed");
                }
                Next::Over(found) => return Ok(Some(found)),
            }
        }
        Ok(failure)
    }

    /// The failure of a job with a stage that the plan does not have: another version of the program had planned it, in another way.
    fn strange_stage(&self) -> Option<Failure> {
        let progress = self.life.record.progress();
        let mut known = progress.stages.iter().map(|stage| &stage.key).chain(&progress.stage);
        let strange = known.find(|key| {
            !self.plan.stages().iter().any(|stage| stage.ordinal == key.ordinal && stage.name == key.name)
        })?;
        let text = format!(
            "the runner was replaced while this job ran, and this version of it cannot go on with the job: it does not know stage \
             {strange} at place {}",
            strange.ordinal
        );
        Some(Failure::new(FailureReason::RunnerSystemFailure, text))
    }

    fn stages(&self, runs: Runs) -> impl Iterator<Item = &StagePlan> {
        self.plan.stages().iter().filter(move |stage| stage.runs == runs)
    }

    async fn after_script(&self, status: JobStatus, limit: Duration) -> Result<Next, LogError> {
        let Some(stage) = self.stages(Runs::AfterSteps).next() else { return Ok(Next::Go) };
        let limit = self.life.record.limit(Limited::AfterScript, limit);
        let next = self.stage(stage, How::after_steps(Some(limit), status)).await?;
        let Next::Fail(failure) = next else { return Ok(next) };
        if !self.plan.options().after_script_ignore_errors {
            return Ok(Next::Fail(failure));
        }
        let text = format!("after_script failed, but job will continue unaffected: {}", failure.text);
        self.words("after_script ignored").warning(&text).await?;
        Ok(Next::Go)
    }

    /// Runs a stage with all its tries.
    async fn stage(&self, stage: &StagePlan, how: How) -> Result<Next, LogError> {
        if stage.is_empty() {
            return Ok(Next::Go);
        }
        let mut pauses = self.pauses();
        let mut attempt = 1;
        loop {
            let before = self.before(stage, attempt);
            let next = match before {
                Some(before) => self.attempt(before, 1, how).await?,
                None => Next::Go,
            };
            let next = match next {
                Next::Go => self.attempt(stage, attempt, how).await?,
                // A try in a folder that could not be emptied would prove nothing.
                next => next,
            };
            let Next::Fail(failure) = next else { return Ok(next) };
            if attempt >= stage.attempts || stage.refusal().is_some() {
                return Ok(Next::Fail(failure));
            }
            attempt += 1;
            let words = self.words(format!("{} retry", stage.key(attempt).slug()));
            words.warning("Retrying...").await?;
            let first = self.before(stage, attempt).map_or(stage.key(attempt), |before| before.key(1));
            let Some(pause) = self.life.record.pause(&first, pauses.take()) else { continue };
            let limits = self.limits(how);
            tokio::select! {
                biased;
                reason = limits.reached(self.life.control) => {
                    return self.judge(&words, stage, StageOutcome::Stopped(reason)).await;
                }
                () = sleep(pause) => {}
            }
        }
    }

    /// What has to run before this try of a stage.
    fn before(&self, stage: &StagePlan, attempt: u16) -> Option<&StagePlan> {
        let wanted = stage.kind == StageKind::GetSources && attempt == 2;
        self.stages(Runs::BeforeSecondAttempt).next().filter(|before| wanted && !before.is_empty())
    }

    /// One try of a stage. One that was over before the manager was restarted is only judged again.
    async fn attempt(&self, stage: &StagePlan, attempt: u16, how: How) -> Result<Next, LogError> {
        let life = self.life;
        let key = stage.key(attempt);
        let words = self.words(key.slug());
        if let Some(outcome) = life.record.outcome(&key) {
            return self.judge(&words, stage, outcome).await;
        }
        words.open(&stage.name, &stage.headline).await?;
        let context =
            StageContext { job: life.task.job(), variables: self.variables, job_status: how.status };
        let outcome = match script::render(self.plan, stage, &context) {
            Ok(input) => {
                let begun = life.record.begin(&key);
                let run = StageRun {
                    environment: life.environment.as_ref(),
                    log: life.log,
                    control: life.control,
                    record: life.record,
                    key: &key,
                    limits: self.limits(how),
                    grace: life.task.runner.settings.grace,
                };
                run.run(input, begun).await?
            }
            Err(ScriptError::Refused(text)) => StageOutcome::Refused(text),
        };
        words.close(&stage.name).await?;
        // What a stage printed has to be safe before nobody looks for it any more.
        life.log.commit().await?;
        life.record.ended(&key, &outcome);
        life.task.tell(Happening::StageEnded { stage: key, result: outcome.result() });
        self.judge(&words, stage, outcome).await
    }

    fn words(&self, scope: impl Into<String>) -> Words {
        Words::new(self.life.log, scope)
    }

    /// What follows from a stage's outcome.
    async fn judge(&self, words: &Words, stage: &StagePlan, outcome: StageOutcome) -> Result<Next, LogError> {
        let Some(failure) = Failure::of_stage(&outcome) else { return Ok(Next::Go) };
        Ok(match outcome {
            StageOutcome::Ended(_) if stage.kind == StageKind::PrepareScript => {
                let hint = "see https://docs.gitlab.com/runner/shells/#shell-profile-loading";
                let text = format!("prepare environment: {} ({hint})", failure.text);
                Next::Halt(Failure { text, ..failure })
            }
            StageOutcome::Ended(_) | StageOutcome::Refused(_) => Next::Fail(failure),
            StageOutcome::Stopped(StopReason::StageTimeout(_)) => {
                words.warning(&cut_off(&stage.name)).await?;
                match stage.kind {
                    StageKind::Step | StageKind::AfterScript => Next::Fail(failure),
                    _ => Next::Halt(failure),
                }
            }
            StageOutcome::Stopped(StopReason::JobTimeout(_)) => {
                words.warning(&cut_off(&stage.name)).await?;
                Next::Over(failure)
            }
            StageOutcome::Stopped(reason @ (StopReason::Canceled | StopReason::Interrupted)) => {
                if stage.kind != StageKind::Step {
                    return Ok(Next::Over(failure));
                }
                if reason == StopReason::Canceled {
                    words.warning("script canceled externally (UI, API)").await?;
                }
                Next::Fail(failure)
            }
            StageOutcome::Stopped(StopReason::Aborted | StopReason::InterruptedAtOnce) => Next::Over(failure),
            StageOutcome::Stuck(_) => {
                words.warning(&format!("{} did not end although it was killed", stage.name)).await?;
                Next::Over(failure)
            }
            StageOutcome::Lost(_) => Next::Halt(failure),
        })
    }

    fn limits(&self, how: How) -> Limits {
        Limits { job: self.life.limit, stage: how.limit, least: how.least }
    }

    /// The own limit of a stage before the steps.
    async fn limit_of(&self, stage: &StagePlan) -> Result<Option<TimeLimit>, LogError> {
        match stage.kind {
            StageKind::PrepareScript => Ok(self.preparing),
            StageKind::GetSources => {
                let length = self.life.task.runner.settings.get_sources_timeout;
                let words = self.words("get_sources limit");
                self.life.own_limit(&words, Limited::Sources, "get_sources_timeout", length).await
            }
            _ => Ok(None),
        }
    }

    /// The limits of all steps together and of after_script, as the job asks for them: both must fit into its time.
    async fn script_limits(&self) -> Result<(Option<TimeLimit>, Duration), LogError> {
        let options = self.plan.options();
        // Decided once: what is left of the job's time is not the same after a restart.
        let decided = self.life.record.script_limits().unwrap_or_else(|| ScriptLimits {
            script: options.script_timeout.filter(|length| self.fits(*length)),
            after_script: match options.after_script_timeout {
                length if self.fits(length) => length,
                _ => AFTER_SCRIPT_TIMEOUT,
            },
        });
        self.life.record.decide(decided);
        let words = self.words("script limits");
        let too_long = |variable: &str, instead: &str| {
            format!("{variable} is longer than what is left of the job's time; using {instead}")
        };
        if options.script_timeout != decided.script {
            words.warning(&too_long("RUNNER_SCRIPT_TIMEOUT", "none")).await?;
        }
        if options.after_script_timeout != decided.after_script {
            words.warning(&too_long("RUNNER_AFTER_SCRIPT_TIMEOUT", "5m0s")).await?;
        }
        let script = decided.script.map(|length| self.life.record.limit(Limited::Script, length));
        Ok((script, decided.after_script))
    }

    /// Whether a limit ends before the job's time.
    fn fits(&self, length: Duration) -> bool {
        after(length) <= self.life.limit.end
    }

    fn pauses(&self) -> Pauses {
        let seconds =
            |next, longest| Pauses { next: Duration::from_secs(next), longest: Duration::from_secs(longest) };
        match self.plan.flags().is_on(flags::USE_EXPONENTIAL_BACKOFF_STAGE_RETRY) {
            true => seconds(5, 300),
            false => seconds(1, 5),
        }
    }
}

impl Pauses {
    fn take(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        pause
    }
}

fn status_after(failure: &Failure) -> JobStatus {
    match failure.reason {
        FailureReason::JobCanceled | FailureReason::RunnerInterrupted => JobStatus::Canceled,
        FailureReason::JobExecutionTimeout => JobStatus::TimedOut,
        _ => JobStatus::Failed,
    }
}
