//! [`Plan`]: all stages of a job.

use serde::{Deserialize, Serialize};

use super::remote::Remote;
use super::stage::{Body, StageKind, StagePlan};
use super::{artifacts, cache, cleanup, sources, steps};
use crate::executor::{Place, Shell};
use crate::variables::{DirsError, FeatureFlags, JobDirs, JobOptions, VariableInputs, Variables, flags};

/// What a plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct PlanInputs<'a> {
    /// Payload and configuration.
    pub inputs: &'a VariableInputs<'a>,
    /// The prepared place.
    pub place: &'a Place,
    /// The job's folders in it.
    pub dirs: &'a JobDirs,
    /// The job's variables, built with these folders.
    pub variables: &'a Variables,
}

/// All stages of a job, with what their scripts have in common. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    dirs: JobDirs,
    options: JobOptions,
    flags: FeatureFlags,
    shell: Shell,
    trace_sections: bool,
    stages: Vec<StagePlan>,
    warnings: Vec<String>,
}

/// Why a job cannot be planned: an error of configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The job's folders cannot be laid out.
    #[error(transparent)]
    Dirs(#[from] DirsError),
    /// The job consists of steps for the step runner.
    #[error("not supported: run (a job of native steps); use script")]
    NativeSteps,
    /// The payload asks for an expansion that this runner did not promise.
    #[error("not supported: inputs (the interpolation of job inputs)")]
    Inputs,
    /// More steps than can be numbered.
    #[error("the job has more than {limit} steps", limit = MAX_STEPS)]
    TooManySteps,
}

/// Far more than a server sends; keeps the ordinals of stages in 16 bits.
const MAX_STEPS: usize = 10_000;

/// What the makers of stages look at.
pub(super) struct Context<'a> {
    pub(super) inputs: &'a VariableInputs<'a>,
    pub(super) place: &'a Place,
    pub(super) dirs: &'a JobDirs,
    pub(super) variables: &'a Variables,
    pub(super) options: &'a JobOptions,
    pub(super) flags: &'a FeatureFlags,
    pub(super) remote: Remote,
}

impl Context<'_> {
    /// A path in the temporary folder.
    pub(super) fn temp(&self, name: &str) -> String {
        format!("{}/{name}", self.dirs.temp_dir)
    }

    pub(super) fn is_on(&self, flag: &str) -> bool {
        self.flags.is_on(flag)
    }
}

impl Plan {
    /// Plans a job.
    ///
    /// # Errors
    /// When the job asks for something that this runner does not do at all.
    pub fn new(plan: &PlanInputs<'_>) -> Result<Self, PlanError> {
        let (job, variables) = (plan.inputs.job, plan.variables);
        if job.run.is_some() {
            return Err(PlanError::NativeSteps);
        }
        if !job.inputs.is_empty() {
            return Err(PlanError::Inputs);
        }
        if job.steps.len() > MAX_STEPS {
            return Err(PlanError::TooManySteps);
        }
        let options = JobOptions::of(plan.inputs, variables);
        let flags = FeatureFlags::of(plan.inputs);
        let context = Context {
            inputs: plan.inputs,
            place: plan.place,
            dirs: plan.dirs,
            variables,
            options: &options,
            flags: &flags,
            remote: Remote::of(plan.inputs, variables),
        };
        let stages = stages(&context);
        let warnings = warnings(&context);
        Ok(Self {
            dirs: plan.dirs.clone(),
            shell: plan.place.shell,
            trace_sections: job.features.trace_sections,
            options,
            flags,
            stages,
            warnings,
        })
    }

    /// The stages in order, also those with nothing to do.
    pub fn stages(&self) -> &[StagePlan] {
        &self.stages
    }

    /// The first stage of a kind.
    pub fn stage(&self, kind: StageKind) -> Option<&StagePlan> {
        self.stages.iter().find(|stage| stage.kind == kind)
    }

    /// The job's folders.
    pub fn dirs(&self) -> &JobDirs {
        &self.dirs
    }

    /// The job's options.
    pub fn options(&self) -> &JobOptions {
        &self.options
    }

    /// The job's feature flags.
    pub fn flags(&self) -> &FeatureFlags {
        &self.flags
    }

    /// The shell that scripts are written for.
    pub fn shell(&self) -> Shell {
        self.shell
    }

    /// Whether the server wants sections in the log.
    pub fn trace_sections(&self) -> bool {
        self.trace_sections
    }

    /// What the head of the job's log should warn of, one line each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

fn stages(context: &Context<'_>) -> Vec<StagePlan> {
    let options = context.options;
    let mut list = List::default();
    list.add(
        StageKind::PrepareScript,
        "prepare_script",
        "Preparing environment",
        1,
        sources::prepare_script(context),
    );
    list.add(
        StageKind::GetSources,
        "get_sources",
        "Getting source from Git repository",
        options.get_sources_attempts,
        sources::get_sources(context),
    );
    list.add(
        StageKind::ClearWorktree,
        "clear_worktree",
        "Deleting all tracked and untracked files due to source fetch failure",
        1,
        sources::clear_worktree(context),
    );
    list.add(
        StageKind::RestoreCache,
        "restore_cache",
        "Restoring cache",
        options.restore_cache_attempts,
        cache::restore(context),
    );
    list.add(
        StageKind::DownloadArtifacts,
        "download_artifacts",
        "Downloading artifacts",
        options.artifact_download_attempts,
        artifacts::download(context),
    );
    for (name, body) in steps::steps(context) {
        let headline = format!("Executing \"{name}\" stage of the job script");
        list.add(StageKind::Step, &name, &headline, 1, body);
    }
    list.add(StageKind::AfterScript, "after_script", "Running after_script", 1, steps::after_script(context));
    list.add(
        StageKind::ArchiveCache,
        "archive_cache",
        "Saving cache for successful job",
        1,
        cache::archive(context, true),
    );
    list.add(
        StageKind::ArchiveCacheOnFailure,
        "archive_cache_on_failure",
        "Saving cache for failed job",
        1,
        cache::archive(context, false),
    );
    list.add(
        StageKind::UploadArtifactsOnSuccess,
        "upload_artifacts_on_success",
        "Uploading artifacts for successful job",
        1,
        artifacts::upload(context, true),
    );
    list.add(
        StageKind::UploadArtifactsOnFailure,
        "upload_artifacts_on_failure",
        "Uploading artifacts for failed job",
        1,
        artifacts::upload(context, false),
    );
    list.add(
        StageKind::CleanupFileVariables,
        "cleanup_file_variables",
        "Cleaning up project directory and file based variables",
        1,
        cleanup::cleanup_file_variables(context),
    );
    list.0
}

#[derive(Default)]
struct List(Vec<StagePlan>);

impl List {
    fn add(&mut self, kind: StageKind, name: &str, headline: &str, attempts: u16, body: Body) {
        // The number of steps is limited, so that this never saturates.
        let ordinal = u16::try_from(self.0.len()).unwrap_or(u16::MAX);
        self.0.push(StagePlan {
            ordinal,
            kind,
            name: name.to_owned(),
            headline: headline.to_owned(),
            location: kind.location(),
            attempts,
            runs: kind.runs(),
            body,
        });
    }
}

fn warnings(context: &Context<'_>) -> Vec<String> {
    let mut warnings = context.options.warnings.clone();
    warnings.extend(context.flags.warnings().iter().cloned());
    warnings.extend(context.variables.unusable_names().iter().map(|name| {
        format!("variable \"{}\" is not exported: shells do not accept its name", name.escape_debug())
    }));
    if artifacts::wants_metadata(context.variables) {
        warnings.push("RUNNER_GENERATE_ARTIFACTS_METADATA: not supported by this runner".to_owned());
    }
    if context.options.executor_job_section_attempts > 1 {
        warnings.push("EXECUTOR_JOB_SECTION_ATTEMPTS: not supported by this runner".to_owned());
    }
    if !context.options.clone_extra_flags.is_empty() && !context.is_on(flags::USE_GIT_NATIVE_CLONE) {
        warnings.push("GIT_CLONE_EXTRA_FLAGS: used only together with FF_USE_GIT_NATIVE_CLONE".to_owned());
    }
    warnings
}
