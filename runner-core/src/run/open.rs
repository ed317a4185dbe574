//! Opening what a run needs: its log and its line to GitLab.

use std::sync::Arc;

use runner_api::{Features, RunnerInfo};
use secrecy::ExposeSecret;

use super::context::JobTask;
use crate::executor::Provider;
use crate::log::{
    FilterSettings, JobLog, LogError, LogStorage, LogTask, MaskRules, SenderSettings, SenderTask, TraceSender,
};
use crate::variables::{FeatureFlags, JobOptions, Program, Variables, flags};

/// What a runner tells GitLab about itself: what the executor promises, and what the core does for every executor.
pub(crate) fn info(provider: &dyn Provider, program: &Program) -> RunnerInfo {
    let executor = provider.info();
    let mut info = RunnerInfo::new("gitlab-runner", program.version.clone());
    info.revision.clone_from(&program.revision);
    if let Some((os, architecture)) = program.platform.split_once('/') {
        os.clone_into(&mut info.platform);
        architecture.clone_into(&mut info.architecture);
    }
    info.executor = executor.executor;
    info.shell = executor.shell;
    info.features = features(&executor.features);
    info
}

/// What the client and the core promise, with the executor's own promises.
fn features(executor: &Features) -> Features {
    let mut features = Features::of_the_client();
    // Job inputs are not interpolated yet, and the helper cannot move caches yet: neither is promised.
    features.job_inputs = false;
    features.artifacts = true;
    features.artifacts_exclude = true;
    features.upload_multiple_artifacts = true;
    features.upload_raw_artifacts = true;
    features.refspecs = true;
    features.masking = true;
    features.raw_variables = true;
    features.multi_build_steps = true;
    features.return_exit_code = true;
    features.variables = executor.variables;
    features.image = executor.image;
    features.services = executor.services;
    features.shared = executor.shared;
    features.session = executor.session;
    features.terminal = executor.terminal;
    features.proxy = executor.proxy;
    features.service_variables = executor.service_variables;
    features.service_multiple_aliases = executor.service_multiple_aliases;
    features.image_executor_opts = executor.image_executor_opts;
    features.service_executor_opts = executor.service_executor_opts;
    features.native_steps_integration = executor.native_steps_integration;
    features
}

/// Opens the job's log: a new one, or the one that an earlier process left.
pub(super) async fn open_log(task: &JobTask) -> Result<(JobLog, LogTask, LogStorage), LogError> {
    let inputs = task.variable_inputs();
    let resolved = FeatureFlags::of(&inputs);
    let secrets = Variables::build(&inputs, None).secrets(task.job());
    let features = &task.job().features;
    let rules = MaskRules::new(
        secrets.iter().map(ExposeSecret::expose_secret),
        features.token_mask_prefixes.iter().map(String::as_str),
        resolved.is_on(flags::MASK_ALL_DEFAULT_TOKENS),
    );
    let settings = FilterSettings {
        rules,
        output_limit: task.runner.settings.output_limit,
        timestamps: resolved.is_on(flags::TIMESTAMPS),
        sections: features.trace_sections,
    };
    let storage = LogStorage::files(task.runner.journal.log_folder(&task.assignment.key)).await?;
    let (log, work) = JobLog::open(storage.clone(), settings, Arc::clone(&task.runner.clock)).await?;
    Ok((log, work, storage))
}

/// The line to GitLab for this job.
pub(super) fn open_sender(task: &JobTask, log: &JobLog) -> (TraceSender, SenderTask) {
    let inputs = task.variable_inputs();
    let options = JobOptions::of(&inputs, &Variables::build(&inputs, None));
    let settings = SenderSettings {
        interval: task.runner.settings.trace_interval,
        final_update_tries: task.runner.settings.final_update_tries,
        debug: options.debug_trace || options.debug_services,
        ..SenderSettings::default()
    };
    let client = task.runner.client.job(task.job().id, task.job().token.clone());
    TraceSender::new(Arc::new(client), log, settings)
}
