//! A job as the server hands it out.

use runner_coordinator::core::{JobTicket, NewJob};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::folder::Repository;
use crate::jobs::{End, Sources, Spec};

/// The job whose artifact is downloaded.
#[derive(Debug, Clone)]
pub(crate) struct Dependency {
    pub(crate) id: u64,
    pub(crate) token: String,
    pub(crate) file: String,
    pub(crate) size: u64,
}

/// The job's own time: never reached.
const TIMEOUT: u64 = 3600;

pub(crate) fn new_job(
    spec: &Spec,
    ticket: JobTicket,
    files: &str,
    repository: &Repository,
    dependency: Option<&Dependency>,
) -> NewJob {
    let mut script = vec![spec.command()];
    script.extend(spec.more.iter().cloned());
    let step = |name: &str, when: &str, script: Vec<String>| json!({ "name": name, "script": script, "timeout": TIMEOUT, "when": when });
    let mut steps = vec![step("script", "on_success", script)];
    if spec.after_script {
        steps.push(step("after_script", "always", vec![AFTER_SCRIPT.to_owned()]));
    }
    let mut payload = json!({
        "job_info": { "name": format!("job-{}", spec.number), "stage": "test", "project_id": 7, "project_name": "p" },
        "git_info": {
            "repo_url": repository.url, "ref": "main", "ref_type": "branch", "sha": repository.commit,
            "before_sha": "0000000000000000000000000000000000000000", "depth": 0,
            "refspecs": ["+refs/heads/main:refs/remotes/origin/main"],
        },
        "runner_info": { "timeout": TIMEOUT },
        "features": {
            "trace_sections": true,
            "failure_reasons": ["runner_system_failure", "script_failure", "job_execution_timeout", "runner_interrupted"],
        },
        "variables": variables(spec, files, ticket.token.expose_secret()),
        "steps": steps,
    });
    if let Some(artifact) = &spec.artifact {
        payload["artifacts"] = json!([{
            "name": "made", "paths": [spec.artifact_name()], "when": artifact.when, "expire_in": "1 week",
            "artifact_type": "archive", "artifact_format": "zip",
        }]);
    }
    if let Some(Dependency { id, token, file, size }) = dependency {
        payload["dependencies"] = json!([{ "id": id, "token": token, "name": "maker", "artifacts_file": { "filename": file, "size": size } }]);
    }
    let mut job = NewJob::new(payload);
    job.ticket = Some(ticket);
    job
}

/// The line of every after_script.
pub(crate) const AFTER_SCRIPT: &str = "echo \"after $CI_JOB_STATUS\"";

fn variables(spec: &Spec, files: &str, token: &str) -> Vec<Value> {
    let public =
        |key: &str, value: &str| json!({ "key": key, "value": value, "public": true, "masked": false });
    let strategy = match spec.sources {
        Sources::None => "none",
        Sources::Empty => "empty",
        Sources::Git => "fetch",
    };
    let mut variables = vec![
        public("FILES", files),
        public("GIT_STRATEGY", strategy),
        json!({ "key": "CI_JOB_TOKEN", "value": token, "public": false, "masked": true }),
    ];
    if !spec.stamped {
        variables.push(public("FF_TIMESTAMPS", "false"));
    }
    if !spec.downloads_directly() {
        variables.push(public("FF_USE_DIRECT_DOWNLOAD", "false"));
    }
    if spec.end == End::Timeout {
        variables.push(public("RUNNER_SCRIPT_TIMEOUT", "2s"));
    }
    for (index, secret) in spec.secrets.iter().enumerate() {
        variables.push(
            json!({ "key": format!("SECRET_{index}"), "value": secret, "public": false, "masked": true }),
        );
    }
    variables
}

impl Spec {
    /// The line of its script that runs its program.
    pub(crate) fn command(&self) -> String {
        format!("sh \"$FILES/{}.sh\"", self.number)
    }
}
