//! Opening what a run needs: its log and its line to GitLab.

use std::sync::Arc;

use runner_api::{Features, RunnerInfo};
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

use super::context::JobTask;
use super::guard::guarded;
use crate::executor::Provider;
use crate::log::{
    FilterSettings, JobLog, LogError, LogTask, MaskRules, SenderSettings, SenderTask, TraceSender,
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
    // Job inputs are not interpolated yet, and are not promised.
    features.job_inputs = false;
    features.artifacts = true;
    features.cache = true;
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

/// A job's log and its line to GitLab, with the work behind them still to be done.
pub(super) struct Opened {
    log: JobLog,
    log_task: LogTask,
    pub(super) sender: TraceSender,
    sender_task: SenderTask,
}

impl Opened {
    /// Does the work behind log and line while `run` runs, and until everything of it has been worked off. `cut` ends the work behind
    /// the line before that: what the server has not got is left to the next process.
    ///
    /// # Panics
    /// When `run` panics. A panic in the work behind log and line ends that work; `run` gets to know by its errors.
    pub(super) fn with<R: Future<Output = ()>>(
        self,
        cut: CancellationToken,
        run: impl FnOnce(JobLog, TraceSender) -> R,
    ) -> impl Future<Output = ()> {
        let Self { log, log_task, sender, sender_task } = self;
        // It gets the last handles: when they are dropped, the work beside it ends.
        let run = Box::pin(run(log, sender));
        let sending = async move {
            tokio::select! {
                biased;
                () = sender_task.run() => {}
                () = cut.cancelled() => {}
            }
        };
        let (kept, sent) = (guarded(log_task.run()), guarded(sending));
        async move {
            let ((), kept, sent) = tokio::join!(run, kept, sent);
            for panic in [kept.err(), sent.err()].into_iter().flatten() {
                tracing::error!(%panic, "the work behind a job's log panicked");
            }
        }
    }
}

/// Opens a job's log: a new one, or the one that an earlier process left.
pub(super) async fn open_log(task: &JobTask) -> Result<Opened, LogError> {
    let inputs = task.variable_inputs();
    let resolved = FeatureFlags::of(&inputs);
    let variables = Variables::build(&inputs, None);
    let secrets = variables.secrets(task.job());
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
    let storage = task.runner.journal.log(&task.assignment.key).await?;
    let (log, log_task) = JobLog::open(storage, settings, Arc::clone(&task.runner.clock)).await?;
    let options = JobOptions::of(&inputs, &variables);
    let settings = SenderSettings {
        interval: task.runner.settings.trace_interval,
        final_update_tries: task.runner.settings.final_update_tries,
        debug: options.debug_trace || options.debug_services,
        ..SenderSettings::default()
    };
    let (sender, sender_task) = TraceSender::new(Arc::new(task.client()), &log, settings);
    Ok(Opened { log, log_task, sender, sender_task })
}
