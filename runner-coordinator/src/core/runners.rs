//! The calls below `runners`: registration, verification, deletion, tokens.

use std::collections::BTreeMap;
use std::time::SystemTime;

use http::StatusCode;
use http::request::Parts;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::Coordinator;
use super::answer::{self, Plain};
use super::event::EventKind;
use super::ids::RunnerId;
use super::params::{self, Params};
use super::runner::{LEGACY_SYSTEM_ID, Manager, NewRunner, Runner};

/// More tags are refused.
const TAG_LIMIT: usize = 50;
/// A longer maintenance note is refused.
const NOTE_LIMIT: usize = 1024;

impl Coordinator {
    /// `POST runners`
    pub(super) fn register(&mut self, parts: &Parts, params: &Params, now: SystemTime) -> Plain {
        let Some(token) = params::token(parts, params, params::RUNNER_TOKEN) else {
            return missing(&["token"]);
        };
        if !self.options.registration {
            return answer::error_because(StatusCode::GONE, "runner registration disallowed");
        }
        if !knows(&self.registration_tokens, token) {
            return answer::error_because(StatusCode::FORBIDDEN, "invalid token supplied");
        }
        for (one, other) in [("maintainer_note", "maintenance_note"), ("active", "paused")] {
            if params.has(one) && params.has(other) {
                return answer::bad_parameter(&format!("{one}, {other} are mutually exclusive"));
            }
        }
        let protected = match params.text("access_level") {
            None | Some("not_protected") => false,
            Some("ref_protected") => true,
            Some(_) => return answer::bad_parameter("access_level does not have a valid value"),
        };
        let new = NewRunner {
            description: params.text("description").unwrap_or_default().to_owned(),
            tags: params
                .text("tag_list")
                .unwrap_or_default()
                .split(',')
                .map(str::trim)
                .filter(|tag| !tag.is_empty())
                .map(str::to_owned)
                .collect(),
            run_untagged: params.flag("run_untagged").unwrap_or(true),
            paused: params.flag("paused").or(params.flag("active").map(|active| !active)).unwrap_or(false),
            locked: params.flag("locked").unwrap_or(false),
            protected,
            maximum_timeout: params.int("maximum_timeout").and_then(|seconds| u64::try_from(seconds).ok()),
            maintenance_note: params
                .text("maintenance_note")
                .or(params.text("maintainer_note"))
                .unwrap_or_default()
                .to_owned(),
            // Runners that register themselves have tokens without GitLab's prefix for created ones.
            token: Some(SecretString::from(self.ids.token(""))),
            token_expires_at: None,
        };
        let problems = problems(&new);
        if !problems.is_empty() {
            return answer::invalid_fields(&problems);
        }
        let created = self.create_runner(new);
        self.emit(now, EventKind::RunnerRegistered { runner: created.id });
        match self.runners.get(&created.id) {
            Some(runner) => answer::json(StatusCode::CREATED, &details(runner)),
            None => answer::error(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// `POST runners/verify`
    pub(super) fn verify(&mut self, parts: &Parts, params: &Params, now: SystemTime) -> Plain {
        let id = match self.authenticate_owned(parts, params, now) {
            Ok(id) => id,
            Err(refusal) => return refusal,
        };
        self.heartbeat(id, params, now);
        match self.runners.get(&id) {
            Some(runner) => answer::json(StatusCode::OK, &details(runner)),
            None => answer::error(StatusCode::FORBIDDEN),
        }
    }

    /// `DELETE runners`
    pub(super) fn unregister(&mut self, parts: &Parts, params: &Params, now: SystemTime) -> Plain {
        match self.authenticate(parts, params, now) {
            Ok(id) => {
                self.runners.remove(&id);
                self.queue_moved();
                self.emit(now, EventKind::RunnerUnregistered { runner: id });
                answer::empty(StatusCode::NO_CONTENT)
            }
            Err(refusal) => refusal,
        }
    }

    /// `DELETE runners/managers`. The runner stays, even without managers.
    pub(super) fn unregister_manager(&mut self, parts: &Parts, params: &Params, now: SystemTime) -> Plain {
        let absent: Vec<&str> = [
            ("token", params::token(parts, params, params::RUNNER_TOKEN).is_none()),
            ("system_id", params.text("system_id").is_none()),
        ]
        .into_iter()
        .filter_map(|(name, absent)| absent.then_some(name))
        .collect();
        if !absent.is_empty() {
            return missing(&absent);
        }
        let id = match self.authenticate(parts, params, now) {
            Ok(id) => id,
            Err(refusal) => return refusal,
        };
        let system_id = params.text("system_id").unwrap_or_default().to_owned();
        let removed = self.runners.get_mut(&id).and_then(|runner| runner.managers.remove(&system_id));
        if removed.is_none() {
            return answer::error(StatusCode::NOT_FOUND);
        }
        self.emit(now, EventKind::ManagerDeleted { runner: id, system_id });
        answer::empty(StatusCode::NO_CONTENT)
    }

    /// `POST runners/reset_authentication_token`, and with an id the form for personal access tokens.
    pub(super) fn reset_token(
        &mut self,
        key: &str,
        parts: &Parts,
        params: &Params,
        now: SystemTime,
    ) -> Plain {
        let id = if key.is_empty() {
            match self.authenticate(parts, params, now) {
                Ok(id) => id,
                Err(refusal) => return refusal,
            }
        } else {
            let personal = parts.headers.get(params::PRIVATE_TOKEN).and_then(|value| value.to_str().ok());
            if !personal.is_some_and(|token| knows(&self.personal_tokens, token)) {
                return answer::error(StatusCode::UNAUTHORIZED);
            }
            match key.parse().map(RunnerId) {
                Ok(id) if self.runners.contains_key(&id) => id,
                _ => return answer::message(StatusCode::NOT_FOUND, "404 Runner Not Found"),
            }
        };
        let Some(runner) = self.runners.get_mut(&id) else { return answer::error(StatusCode::NOT_FOUND) };
        let lifetime = self.token_lifetime;
        let prefix = if runner.is_created() { "glrt-" } else { "" };
        let token = SecretString::from(self.ids.token(prefix));
        let expires_at = lifetime.and_then(|lifetime| now.checked_add(lifetime));
        runner.rotate(token, expires_at, self.options.token_grace, now);
        let mut body = details(runner);
        if let Some(body) = body.as_object_mut() {
            body.remove("id");
        }
        answer::json(StatusCode::CREATED, &body)
    }

    /// `GET runners/router/discovery`
    pub(super) fn router_discovery(&self, parts: &Parts, params: &Params, now: SystemTime) -> Plain {
        if let Err(refusal) = self.authenticate(parts, params, now) {
            return refusal;
        }
        match &self.options.router_url {
            Some(url) => answer::json(StatusCode::OK, &json!({ "server_url": url })),
            None => answer::error(StatusCode::NOT_IMPLEMENTED),
        }
    }

    /// The runner that a request speaks for: 400 without a token, 403 for an unknown or expired one.
    pub(super) fn authenticate(
        &self,
        parts: &Parts,
        params: &Params,
        now: SystemTime,
    ) -> Result<RunnerId, Plain> {
        let token = params::token(parts, params, params::RUNNER_TOKEN).ok_or_else(|| missing(&["token"]))?;
        self.runners
            .values()
            .find(|runner| runner.answers_to(token, now))
            .map(|runner| runner.id)
            .ok_or_else(|| answer::error(StatusCode::FORBIDDEN))
    }

    /// [`authenticate`](Self::authenticate), and 422 for a runner without owner.
    pub(super) fn authenticate_owned(
        &self,
        parts: &Parts,
        params: &Params,
        now: SystemTime,
    ) -> Result<RunnerId, Plain> {
        let id = self.authenticate(parts, params, now)?;
        if self.runners.get(&id).is_some_and(|runner| runner.orphaned) {
            return Err(answer::message(StatusCode::UNPROCESSABLE_ENTITY, "Runner is orphaned"));
        }
        Ok(id)
    }

    /// Creates or updates the manager that a request comes from; returns its system id.
    pub(super) fn heartbeat(&mut self, id: RunnerId, params: &Params, now: SystemTime) -> String {
        let system_id = params.text("system_id").unwrap_or(LEGACY_SYSTEM_ID).to_owned();
        let Some(runner) = self.runners.get_mut(&id) else { return system_id };
        let info = params.has("info").then(|| params.object("info").value());
        let new = !runner.managers.contains_key(&system_id);
        let manager = runner
            .managers
            .entry(system_id.clone())
            .or_insert_with(|| Manager { info: Value::Null, contacted_at: now });
        manager.contacted_at = now;
        if let Some(info) = info {
            manager.info = info;
        }
        if new {
            self.emit(now, EventKind::ManagerCreated { runner: id, system_id: system_id.clone() });
        }
        system_id
    }
}

/// What GitLab's validation of a runner finds, by field.
fn problems(new: &NewRunner) -> BTreeMap<&'static str, Vec<String>> {
    let mut problems: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    let mut add = |field, problem: &str| problems.entry(field).or_default().push(problem.to_owned());
    if new.tags.is_empty() && !new.run_untagged {
        add("tags_list", "can not be empty when runner is not allowed to pick untagged jobs");
    }
    if new.tags.len() > TAG_LIMIT {
        add("tags_list", &format!("Too many tags specified. Please limit the number of tags to {TAG_LIMIT}"));
    }
    if new.maximum_timeout.is_some_and(|seconds| seconds < 600) {
        add("maximum_timeout", "needs to be at least 10 minutes");
    }
    if new.maintenance_note.chars().count() > NOTE_LIMIT {
        add("maintenance_note", &format!("is too long (maximum is {NOTE_LIMIT} characters)"));
    }
    problems
}

/// `token is missing`
pub(super) fn missing(names: &[&str]) -> Plain {
    let text: Vec<String> = names.iter().map(|name| format!("{name} is missing")).collect();
    answer::bad_parameter(&text.join(", "))
}

fn knows(tokens: &[SecretString], token: &str) -> bool {
    tokens.iter().any(|known| known.expose_secret() == token)
}

fn details(runner: &Runner) -> Value {
    json!({
        "id": runner.id.0,
        "token": runner.token.expose_secret(),
        "token_expires_at": runner.token_expires_at.map(answer::json_time),
    })
}
