//! From a compiled job to what a runner receives when it asks for one.
//!
//! The payload is what GitLab's `POST /api/v4/jobs/request` answers; the format is internal to GitLab and its runners.

mod artifacts;
mod cache;
mod git;
mod image;
mod release;

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::action::{ArchiveInfo, Host};
use super::predefined;
use super::settings::Settings;
use super::variable::JobVariable;
use crate::core::JobId;
use crate::pipeline::{Job, JobInput, Release, Work};

/// Failure reasons that a runner may send.
const FAILURE_REASONS: [&str; 18] = [
    "unknown_failure",
    "script_failure",
    "api_failure",
    "stuck_or_timeout_failure",
    "runner_system_failure",
    "missing_dependency_failure",
    "runner_unsupported",
    "stale_schedule",
    "job_execution_timeout",
    "archived_failure",
    "unmet_prerequisites",
    "scheduler_failure",
    "data_integrity_failure",
    "trace_size_exceeded",
    "image_pull_failure",
    "runner_configuration_error",
    "runner_external_dependency_failure",
    "runner_interrupted",
];

/// A finished job whose archive is downloaded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dependency<'a> {
    pub(super) id: JobId,
    pub(super) name: &'a str,
    pub(super) archive: &'a ArchiveInfo,
}

/// Everything a payload is made of.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) settings: &'a Settings,
    pub(super) job: &'a Job,
    pub(super) id: JobId,
    pub(super) token: &'a str,
    /// Complete and expanded.
    pub(super) variables: &'a [JobVariable],
    pub(super) dependencies: &'a [Dependency<'a>],
    pub(super) host: &'a dyn Host,
}

impl Parts<'_> {
    /// The payload.
    pub(super) fn payload(&self) -> Value {
        let Self { settings, job, .. } = self;
        let facts = &settings.facts;
        let timeout = job.timeout.unwrap_or(settings.default_timeout);
        let mut payload = Map::new();
        let mut set = |key: &str, value: Value| payload.insert(key.to_owned(), value);
        set("id", self.id.0.into());
        set("token", self.token.into());
        set("allow_git_fetch", true.into());
        set("job_info", self.job_info());
        set("git_info", git::git_info(settings, self.variables, self.token));
        set("runner_info", json!({"timeout": timeout.as_secs(), "uuid": settings.runner.uuid}));
        set("inputs", job.inputs.iter().map(input).collect());
        set("variables", self.variables.iter().map(JobVariable::to_payload).collect());
        let release = job.release.as_ref().filter(|_| settings.release);
        set("steps", steps(&job.work, release, timeout));
        set("hooks", hooks(&job.pre_get_sources_script));
        set("image", job.image.as_ref().map_or(Value::Null, image::image));
        set("services", job.services.iter().map(image::service).collect());
        set("artifacts", job.artifacts.as_ref().map_or(Value::Null, artifacts::artifacts));
        set("cache", cache::caches(&job.cache, facts.protected, self.host));
        set("credentials", json!([]));
        set("features", features());
        set("dependencies", self.dependencies.iter().map(|dependency| self.dependency(dependency)).collect());
        Value::Object(payload)
    }

    fn job_info(&self) -> Value {
        let facts = &self.settings.facts;
        let project = facts.project();
        json!({
            "id": self.id.0,
            "name": self.job.name,
            "stage": self.job.stage,
            "pipeline_id": facts.pipeline_id,
            "project_id": project.project_id(),
            "project_name": project.project_name(),
            "project_full_path": project.path,
            "namespace_id": project.namespace_id(),
            "root_namespace_id": predefined::root_namespace_id(&project),
            "organization_id": 1,
            "user_id": facts.user.id,
            "scoped_user_id": null,
            "time_in_queue_seconds": 0.0,
            "project_jobs_running_on_instance_runners_count": "+Inf",
            "queue_size": 0,
            "queue_depth": 0,
        })
    }

    /// The token is the running job's: it opens the artifacts of the jobs it depends on.
    fn dependency(&self, dependency: &Dependency<'_>) -> Value {
        let Dependency { id, name, archive } = dependency;
        json!({
            "id": id.0,
            "name": name,
            "token": self.token,
            "artifacts_file": {"filename": archive.filename, "size": archive.size},
        })
    }
}

fn steps(work: &Work, release: Option<&Release>, timeout: Duration) -> Value {
    let Work::Script { before_script, script, after_script } = work else { return json!([]) };
    let commands: Vec<&String> = before_script.iter().chain(script).collect();
    let step = |name: &str, script: Value, when: &str, allow_failure: bool| {
        json!({
            "name": name,
            "script": script,
            "timeout": timeout.as_secs(),
            "when": when,
            "allow_failure": allow_failure,
        })
    };
    let mut steps = vec![step("script", json!(commands), "on_success", false)];
    if let Some(release) = release {
        steps.push(step("release", json!([release::command(release)]), "on_success", false));
    }
    if !after_script.is_empty() {
        steps.push(step("after_script", json!(after_script), "always", true));
    }
    steps.into()
}

fn input(input: &JobInput) -> Value {
    json!({
        "key": input.name,
        "value": {"type": input.kind, "content": input.value, "sensitive": false},
    })
}

fn hooks(pre_get_sources_script: &[String]) -> Value {
    if pre_get_sources_script.is_empty() {
        return json!([]);
    }
    json!([{"name": "pre_get_sources_script", "script": pre_get_sources_script}])
}

fn features() -> Value {
    json!({
        "trace_sections": true,
        "token_mask_prefixes": ["glpat-"],
        "failure_reasons": FAILURE_REASONS,
    })
}
