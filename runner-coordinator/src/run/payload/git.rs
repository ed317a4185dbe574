//! `git_info`: what to fetch and from where.

use serde_json::{Value, json};

use super::super::expand::lookup;
use super::super::facts::GitRef;
use super::super::settings::Settings;
use super::super::variable::JobVariable;

pub(super) fn git_info(settings: &Settings, variables: &[JobVariable], token: &str) -> Value {
    let facts = &settings.facts;
    let depth = depth(settings, variables);
    let ref_type = if matches!(facts.git_ref, GitRef::Tag { .. }) { "tag" } else { "branch" };
    json!({
        "repo_url": facts.repository_url_with(token),
        "repo_object_format": facts.object_format,
        "ref": facts.git_ref.name(),
        "ref_type": ref_type,
        "sha": facts.sha,
        "before_sha": facts.before_sha,
        "refspecs": refspecs(facts.pipeline_id, &facts.git_ref, depth),
        "depth": depth,
        "protected": facts.protected,
    })
}

/// `GIT_DEPTH` if it is a number, else the project's default.
fn depth(settings: &Settings, variables: &[JobVariable]) -> u32 {
    let wanted = lookup(variables, "GIT_DEPTH").and_then(|depth| depth.trim().parse().ok());
    wanted.unwrap_or(settings.git_depth)
}

/// The pipeline's own ref, which keeps the commit alive, and the branch or tag; all of them without a depth. The
/// commit of a merge request is reached by the pipeline's ref alone.
fn refspecs(pipeline_id: u64, git_ref: &GitRef, depth: u32) -> Vec<String> {
    let mut specs = vec![format!("+refs/pipelines/{pipeline_id}:refs/pipelines/{pipeline_id}")];
    match git_ref {
        _ if depth == 0 => {
            specs.push("+refs/heads/*:refs/remotes/origin/*".to_owned());
            specs.push("+refs/tags/*:refs/tags/*".to_owned());
        }
        GitRef::Branch(name) => specs.push(format!("+refs/heads/{name}:refs/remotes/origin/{name}")),
        GitRef::Tag { name, .. } => specs.push(format!("+refs/tags/{name}:refs/tags/{name}")),
        GitRef::MergeRequest(_) => {}
    }
    specs
}
