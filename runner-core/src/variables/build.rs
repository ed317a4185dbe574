//! From payload and configuration to the full list.

use runner_api::Job;
use runner_api::transport::TlsData;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::feature_flags::is_known;
use super::list::JOB_STATUS;
use super::{FeatureFlags, JobDirs, JobOptions, OptionDefaults, Variable, Variables};
use crate::executor::Slots;
use crate::settings::{JobSettings, RunnerIdentity};

/// Everything that a job's variables, options and plan are made from.
#[derive(Debug, Clone, Copy)]
pub struct VariableInputs<'a> {
    /// What GitLab sent.
    pub job: &'a Job,
    /// How the runner treats jobs.
    pub settings: &'a JobSettings,
    /// Who the runner is.
    pub runner: &'a RunnerIdentity,
    /// The program that runs.
    pub program: &'a Program,
    /// The job's slots.
    pub slots: Slots,
    /// Resolved external secrets; they beat everything the job says.
    pub secrets: &'a [Variable],
    /// Certificates for the connection to GitLab.
    pub tls: &'a TlsFiles,
}

/// The running program, as variables and git's user agent name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// `CI_RUNNER_VERSION`.
    pub version: String,
    /// `CI_RUNNER_REVISION`, eight characters.
    pub revision: String,
    /// `CI_RUNNER_EXECUTABLE_ARCH`: operating system and architecture, `linux/amd64`.
    pub platform: String,
}

/// PEM texts that scripts and the helper need to reach GitLab.
#[derive(Debug, Clone, Default)]
pub struct TlsFiles {
    /// Certificate authorities: `CI_SERVER_TLS_CA_FILE`.
    pub ca: Option<String>,
    /// Client certificate: `CI_SERVER_TLS_CERT_FILE`, only together with its key.
    pub cert: Option<String>,
    /// Key of the client certificate: `CI_SERVER_TLS_KEY_FILE`.
    pub key: Option<SecretString>,
}

impl TlsFiles {
    /// What a connection to GitLab was made with; `None` if that was nothing that jobs need.
    pub fn of(connection: &TlsData) -> Option<Self> {
        let text = |pem: &[u8]| String::from_utf8_lossy(pem).into_owned();
        let filled = (!connection.is_empty()).then_some(connection)?;
        Some(Self {
            ca: Some(text(filled.ca_chain())).filter(|chain| !chain.is_empty()),
            cert: filled.client_certificate().map(text),
            key: filled.client_key().map(|key| key.expose().into()),
        })
    }
}

impl Variables {
    /// The full list of a job. Without `dirs`, before the place is known, everything that depends on the place is missing:
    /// good enough to expand image names.
    pub fn build(inputs: &VariableInputs<'_>, dirs: Option<&JobDirs>) -> Self {
        let flags = FeatureFlags::of(inputs);
        let mut list: Vec<Variable> =
            flags.iter().map(|(name, on)| Variable::of_runner(name, on.to_string())).collect();
        list.extend(before_job(inputs, dirs));
        list.extend(payload(inputs.job));
        list.extend(after_job(inputs, dirs));
        Self::new(list, dirs.map_or("", |dirs| dirs.temp_dir.as_str()))
    }
}

impl FeatureFlags {
    /// The flags of a job.
    pub fn of(inputs: &VariableInputs<'_>) -> Self {
        let mut list = environment(inputs.settings);
        list.extend(payload_entries(inputs.job));
        let variables = Variables::new(list, "");
        Self::resolve(&inputs.settings.feature_flags, |name| {
            variables.get(name).filter(|text| !text.is_empty())
        })
    }
}

impl JobOptions {
    /// The options of a job.
    pub fn of(inputs: &VariableInputs<'_>, variables: &Variables) -> Self {
        let defaults = OptionDefaults {
            allow_fetch: inputs.job.allow_git_fetch,
            depth: inputs.job.git_info.depth,
            debug_trace_disabled: inputs.settings.debug_trace_disabled,
        };
        Self::read(variables, &defaults)
    }
}

/// What the job may override.
fn before_job(inputs: &VariableInputs<'_>, dirs: Option<&JobDirs>) -> Vec<Variable> {
    let mut list = Vec::new();
    if let Some(image) = inputs.job.image.as_ref().filter(|image| !image.name.is_empty()) {
        list.push(Variable::of_runner("CI_JOB_IMAGE", image.name.as_str()).raw(false));
    }
    list.push(Variable::of_runner("CI_RUNNER_SHORT_TOKEN", inputs.runner.token.short()));
    list.extend(environment(inputs.settings).into_iter().filter(|variable| !is_known(&variable.key)));
    let (builds_dir, project_dir) = dirs.map_or(("", ""), |dirs| (&dirs.builds_dir, &dirs.project_dir));
    let timeout = inputs.job.runner_info.job_timeout().as_secs();
    list.extend([
        Variable::of_runner("CI_BUILDS_DIR", builds_dir),
        Variable::of_runner("CI_PROJECT_DIR", project_dir),
        Variable::of_runner("CI_CONCURRENT_ID", inputs.slots.runner.to_string()),
        Variable::of_runner("CI_CONCURRENT_PROJECT_ID", inputs.slots.project.to_string()),
        Variable::of_runner("CI_SERVER", "yes"),
        Variable::of_runner(JOB_STATUS, "running"),
        Variable::of_runner("CI_JOB_TIMEOUT", timeout.to_string()),
    ]);
    list.extend(tls(inputs.tls));
    list
}

/// The runner's `environment` setting. Whoever writes tokens there expects them to stay hidden, so nothing of it is public.
fn environment(settings: &JobSettings) -> Vec<Variable> {
    settings.environment.iter().map(|(key, value)| Variable::new(key, value).internal(true)).collect()
}

fn tls(files: &TlsFiles) -> Vec<Variable> {
    let mut list = Vec::new();
    if let Some(ca) = &files.ca {
        list.push(Variable::of_runner("CI_SERVER_TLS_CA_FILE", ca).file(true));
    }
    if let (Some(cert), Some(key)) = (&files.cert, &files.key) {
        list.push(Variable::of_runner("CI_SERVER_TLS_CERT_FILE", cert).file(true));
        list.push(
            Variable::of_runner("CI_SERVER_TLS_KEY_FILE", key.expose_secret()).public(false).file(true),
        );
    }
    list
}

/// What the server sent, without the feature flags: those are resolved already.
fn payload(job: &Job) -> Vec<Variable> {
    payload_entries(job).filter(|variable| !is_known(&variable.key)).collect()
}

fn payload_entries(job: &Job) -> impl Iterator<Item = Variable> + '_ {
    job.variables.iter().map(|sent| {
        Variable::new(&sent.key, &sent.value)
            .public(sent.public)
            .masked(sent.masked)
            .file(sent.file)
            .raw(sent.raw)
    })
}

/// What the job cannot override.
fn after_job(inputs: &VariableInputs<'_>, dirs: Option<&JobDirs>) -> Vec<Variable> {
    let mut list = Vec::new();
    if let Some(dirs) = dirs {
        let key = if dirs.shared { "CI_SHARED_ENVIRONMENT" } else { "CI_DISPOSABLE_ENVIRONMENT" };
        list.push(Variable::of_runner(key, "true"));
    }
    list.extend([
        Variable::of_runner("CI_RUNNER_VERSION", inputs.program.version.as_str()),
        Variable::of_runner("CI_RUNNER_REVISION", inputs.program.revision.as_str()),
        Variable::of_runner("CI_RUNNER_EXECUTABLE_ARCH", inputs.program.platform.as_str()),
    ]);
    list.extend(inputs.secrets.iter().cloned());
    if let Some(dirs) = dirs {
        list.push(Variable::of_runner("RUNNER_TEMP_PROJECT_DIR", dirs.temp_dir.as_str()));
    }
    list
}
