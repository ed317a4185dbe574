//! `id_tokens`: what they claim. <https://docs.gitlab.com/ci/secrets/id_token_authentication/>

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::expand::{self, lookup};
use super::facts::GitRef;
use super::settings::Settings;
use super::variable::JobVariable;
use crate::core::JobId;
use crate::pipeline::{IdToken, Job};

/// How long before the token's own time it counts already, as on the server.
const LEEWAY: Duration = Duration::from_secs(5);

/// The claims of one token of a job; `variables` are those of the job, expanded.
pub(super) fn claims(
    settings: &Settings,
    job: &Job,
    id: JobId,
    token: &IdToken,
    variables: &[JobVariable],
    now: SystemTime,
) -> Value {
    let facts = &settings.facts;
    let project = facts.project();
    let (ref_type, ref_path) = match &facts.git_ref {
        GitRef::Tag { name, .. } => ("tag", format!("refs/tags/{name}")),
        other => ("branch", format!("refs/heads/{}", other.name())),
    };
    let seconds = |time: SystemTime| {
        time.duration_since(SystemTime::UNIX_EPOCH).map(|since| since.as_secs()).unwrap_or_default()
    };
    let timeout = job.timeout.unwrap_or(settings.default_timeout);
    let audiences: Vec<String> =
        token.audiences.iter().map(|audience| expand::expand(audience, variables)).collect();
    let audience = match audiences.as_slice() {
        [one] => json!(one),
        several => json!(several),
    };
    let mut claims = json!({
        "iss": project.server_url(),
        "sub": format!("project_path:{}:ref_type:{ref_type}:ref:{}", project.path, facts.git_ref.name()),
        "aud": audience,
        "iat": seconds(now),
        "nbf": seconds(now.checked_sub(LEEWAY).unwrap_or(now)),
        "exp": seconds(now).saturating_add(timeout.as_secs()),
        "jti": format!("{}-{}-{}", project.project_id(), id.0, token.name),
        "namespace_id": project.namespace_id().to_string(),
        "namespace_path": project.namespace(),
        "project_id": project.project_id().to_string(),
        "project_path": project.path,
        "project_visibility": "private",
        "user_id": facts.user.id.to_string(),
        "user_login": facts.user.login,
        "user_email": facts.user.email,
        "pipeline_id": facts.pipeline_id.to_string(),
        "pipeline_source": facts.source,
        "job_id": id.0.to_string(),
        "ref": facts.git_ref.name(),
        "ref_type": ref_type,
        "ref_path": ref_path,
        "ref_protected": facts.protected.to_string(),
        "runner_id": settings.runner.id,
        "runner_environment": "self-hosted",
        "sha": facts.sha,
        "ci_config_ref_uri": format!("{}/{}//{}@{ref_path}", project.fqdn(), project.path, facts.config_path),
        "ci_config_sha": facts.sha,
    });
    if let (Some(environment), Some(object)) = (&job.environment, claims.as_object_mut()) {
        let name = lookup(variables, "CI_ENVIRONMENT_NAME").unwrap_or(&environment.name);
        object.insert("environment".to_owned(), name.into());
        object.insert("environment_protected".to_owned(), "false".into());
        object.insert("environment_action".to_owned(), environment.action.clone().into());
        let tier = lookup(variables, "CI_ENVIRONMENT_TIER").unwrap_or_default();
        object.insert("deployment_tier".to_owned(), tier.into());
    }
    claims
}
