//! Jobs as GitLab sends them.

use serde_json::{Value, json};

/// A payload to be changed and enqueued.
#[derive(Debug, Clone)]
pub(crate) struct Payload(Value);

impl Payload {
    /// A job with one script step, without git, whose log has sections and no time stamps.
    pub(crate) fn new<const N: usize>(script: [&str; N]) -> Self {
        let job = Self(json!({
            "job_info": { "name": "test", "stage": "test", "project_id": 1 },
            "git_info": { "repo_url": "http://gitlab.test/group/project.git" },
            "runner_info": { "timeout": 3600 },
            "features": { "trace_sections": true },
            "variables": [],
            "steps": [],
        }));
        job.step("script", script).variable("GIT_STRATEGY", "none").variable("FF_TIMESTAMPS", "false")
    }

    pub(crate) fn name(self, name: &str) -> Self {
        self.set("/job_info/name", name.into())
    }

    pub(crate) fn project(self, id: u64) -> Self {
        self.set("/job_info/project_id", id.into())
    }

    pub(crate) fn timeout(self, seconds: i64) -> Self {
        self.set("/runner_info/timeout", seconds.into())
    }

    pub(crate) fn step<const N: usize>(mut self, name: &str, script: [&str; N]) -> Self {
        let step = json!({ "name": name, "script": script.to_vec() });
        self.0["steps"].as_array_mut().unwrap().push(step);
        self
    }

    pub(crate) fn after_script<const N: usize>(self, script: [&str; N]) -> Self {
        self.step("after_script", script)
    }

    pub(crate) fn variable(self, key: &str, value: &str) -> Self {
        self.any_variable(json!({ "key": key, "value": value }))
    }

    pub(crate) fn masked(self, key: &str, value: &str) -> Self {
        self.any_variable(json!({ "key": key, "value": value, "masked": true }))
    }

    pub(crate) fn masked_file(self, key: &str, value: &str) -> Self {
        self.any_variable(json!({ "key": key, "value": value, "masked": true, "file": true }))
    }

    fn any_variable(mut self, variable: Value) -> Self {
        self.0["variables"].as_array_mut().unwrap().push(variable);
        self
    }

    /// Failure reasons that the server knows.
    pub(crate) fn reasons<const N: usize>(self, reasons: [&str; N]) -> Self {
        self.field("features", json!({ "trace_sections": true, "failure_reasons": reasons.to_vec() }))
    }

    /// Replaces what is at a JSON pointer.
    pub(crate) fn set(mut self, pointer: &str, value: Value) -> Self {
        *self.0.pointer_mut(pointer).unwrap() = value;
        self
    }

    /// Sets a field at the top.
    pub(crate) fn field(mut self, key: &str, value: Value) -> Self {
        self.0[key] = value;
        self
    }
}

impl From<Payload> for Value {
    fn from(payload: Payload) -> Self {
        payload.0
    }
}
