//! `trigger`. <https://docs.gitlab.com/ci/yaml/#trigger>

use super::super::check::Check;
use super::super::error::CompileError;
use super::super::job::{Trigger, TriggerTarget};
use super::super::yaml::{Map, Node};

const MAX_INCLUDES: usize = 3;

/// Reads `trigger`. What cannot be honoured goes to `refused`.
pub(crate) fn trigger(
    check: &mut Check,
    node: &Node,
    location: &str,
    refused: &mut Vec<CompileError>,
) -> Option<Trigger> {
    if let Some(project) = node.as_text() {
        return Some(Trigger { target: project_target(project.to_owned(), None), depend: false });
    }
    if node.as_map().is_none() {
        check.error(&node.span, format!("{location} config should be a hash or a string"));
        return None;
    }
    let map =
        check.hash(node, location, &["project", "branch", "include", "strategy", "forward", "inputs"])?;
    let depend = check.one_of(map, "strategy", location, &["depend", "mirror"]).is_some();
    forward(check, map, location);
    if let Some(entry) = map.entry("inputs").filter(|entry| !entry.value.is_null()) {
        refused.push(CompileError::new(&entry.key_span, format!("{location}:inputs is not supported yet")));
    }
    let target = match (map.get("project"), map.get("include")) {
        (Some(_), Some(_)) => {
            let message = format!("{location} config these keys cannot be used together: project, include");
            check.error(&node.span, message);
            return None;
        }
        (Some(_), None) => {
            let branch = check.text(map, "branch", location);
            project_target(check.text(map, "project", location)?, branch)
        }
        (None, Some(include)) => child(check, include, &format!("{location}:include"), refused)?,
        (None, None) => {
            check.error(&node.span, format!("{location} config must specify either project or include"));
            return None;
        }
    };
    Some(Trigger { target, depend })
}

fn project_target(project: String, branch: Option<String>) -> TriggerTarget {
    TriggerTarget::Project { project, branch }
}

fn forward(check: &mut Check, map: &Map, location: &str) {
    let location = format!("{location}:forward");
    let Some(forward) = map
        .get("forward")
        .and_then(|node| check.hash(node, &location, &["yaml_variables", "pipeline_variables"]))
    else {
        return;
    };
    check.flag(forward, "yaml_variables", &location);
    check.flag(forward, "pipeline_variables", &location);
    check.ignore("trigger:forward");
}

/// The files of a child pipeline.
fn child(
    check: &mut Check,
    node: &Node,
    location: &str,
    refused: &mut Vec<CompileError>,
) -> Option<TriggerTarget> {
    let single = [node.clone()];
    let items = node.as_list().unwrap_or(&single);
    if items.len() > MAX_INCLUDES {
        check.error(&node.span, format!("{location} config is too long (maximum is {MAX_INCLUDES})"));
        return None;
    }
    let mut files = Vec::new();
    for item in items {
        if let Some(text) = item.as_text() {
            files.push(text.to_owned());
            continue;
        }
        let keys = [
            "local",
            "artifact",
            "job",
            "project",
            "file",
            "ref",
            "template",
            "remote",
            "component",
            "inputs",
            "rules",
            "integrity",
        ];
        let map = check.hash(item, location, &keys)?;
        for key in ["artifact", "project", "template", "remote", "component", "inputs", "rules"] {
            if let Some(entry) = map.entry(key).filter(|entry| !entry.value.is_null()) {
                refused.push(CompileError::new(
                    &entry.key_span,
                    format!("{location}:{key} is not supported yet"),
                ));
            }
        }
        files.extend(check.text(map, "local", location));
    }
    Some(TriggerTarget::Include(files))
}
