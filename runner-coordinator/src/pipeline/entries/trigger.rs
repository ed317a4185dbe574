//! `trigger`. <https://docs.gitlab.com/ci/yaml/#trigger>

use super::super::check::Check;
use super::super::error::CompileError;
use super::super::job::{ChildInclude, ChildSource, Forward, Trigger, TriggerTarget};
use super::super::rules::{RulesOf, parse_rules};
use super::super::yaml::{Map, Node};
use serde_json::Value;

const MAX_INCLUDES: usize = 3;
/// Keys that say where a file is.
const KINDS: [&str; 6] = ["local", "artifact", "project", "template", "remote", "component"];
const KEYS: [&str; 12] = [
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

/// Reads `trigger`.
pub(crate) fn trigger(check: &mut Check, node: &Node, location: &str) -> Option<Trigger> {
    if let Some(project) = node.as_text() {
        let target = project_target(project.to_owned(), None);
        return Some(Trigger { target, depend: false, forward: Forward::default() });
    }
    if node.as_map().is_none() {
        let error = CompileError::new(&node.span, format!("{location} config should be a hash or a string"));
        check.push(error.help("for example: group/project, or {include: child.yml}"));
        return None;
    }
    let map =
        check.hash(node, location, &["project", "branch", "include", "strategy", "forward", "inputs"])?;
    let depend = check.one_of(map, "strategy", location, &["depend", "mirror"]).is_some();
    let forward = forward(check, map, location);
    let inputs = inputs(check, map, location);
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
        (None, Some(include)) => child(check, include, &format!("{location}:include"), &inputs)?,
        (None, None) => {
            check.error(&node.span, format!("{location} config must specify either project or include"));
            return None;
        }
    };
    Some(Trigger { target, depend, forward })
}

fn project_target(project: String, branch: Option<String>) -> TriggerTarget {
    TriggerTarget::Project { project, branch }
}

fn forward(check: &mut Check, map: &Map, location: &str) -> Forward {
    let location = format!("{location}:forward");
    let Some(forward) = map
        .get("forward")
        .and_then(|node| check.hash(node, &location, &["yaml_variables", "pipeline_variables"]))
    else {
        return Forward::default();
    };
    let default = Forward::default();
    Forward {
        yaml_variables: check.flag(forward, "yaml_variables", &location).unwrap_or(default.yaml_variables),
        pipeline_variables: check
            .flag(forward, "pipeline_variables", &location)
            .unwrap_or(default.pipeline_variables),
    }
}

/// Values for `spec:inputs` of what is started.
fn inputs(check: &mut Check, map: &Map, location: &str) -> serde_json::Map<String, Value> {
    let Some(node) = map.get("inputs") else { return serde_json::Map::new() };
    match node.to_json() {
        Some(Value::Object(inputs)) => inputs,
        _ => {
            check.error(&node.span, format!("{location} inputs should be a hash"));
            serde_json::Map::new()
        }
    }
}

/// The files of a child pipeline. What the whole trigger is told, every file is told.
fn child(
    check: &mut Check,
    node: &Node,
    location: &str,
    inputs_of_all: &serde_json::Map<String, Value>,
) -> Option<TriggerTarget> {
    let single = [node.clone()];
    let items = node.as_list().unwrap_or(&single);
    if items.len() > MAX_INCLUDES {
        check.error(&node.span, format!("{location} config is too long (maximum is {MAX_INCLUDES})"));
        return None;
    }
    if items.is_empty() {
        check.error(&node.span, format!("{location} config can't be blank"));
        return None;
    }
    let mut files = Vec::new();
    for item in items {
        if let Some(text) = item.as_text() {
            files.push(ChildInclude { inputs: inputs_of_all.clone(), ..ChildInclude::from(text) });
            continue;
        }
        let map = check.hash(item, location, &KEYS)?;
        if let Some(rules) = map.get("rules") {
            parse_rules(check, rules, &format!("{location}:rules"), RulesOf::Include);
        }
        let mut inputs = inputs_of_all.clone();
        inputs.extend(self::inputs(check, map, location));
        files.push(ChildInclude {
            source: source(check, item, map, location)?,
            inputs,
            rules: map.get("rules").and_then(Node::to_json),
            integrity: check.text(map, "integrity", location),
        });
    }
    Some(TriggerTarget::Include(files))
}

fn source(check: &mut Check, item: &Node, map: &Map, location: &str) -> Option<ChildSource> {
    let given: Vec<&str> = KINDS.into_iter().filter(|kind| map.get(kind).is_some()).collect();
    let [kind] = given[..] else {
        let list = KINDS.join(", ");
        check.error(&item.span, format!("{location} config must use exactly one of these keys: {list}"));
        return None;
    };
    let text = check.text(map, kind, location)?;
    Some(match kind {
        "local" => ChildSource::Local(text),
        "artifact" => {
            let Some(job) = check.text(map, "job", location) else {
                check.error(
                    &item.span,
                    format!("{location} config must specify the job where to fetch the artifact from"),
                );
                return None;
            };
            ChildSource::Artifact { artifact: text, job }
        }
        "project" => {
            let Some(files) = check.text_or_texts(map, "file", location).filter(|files| !files.is_empty())
            else {
                check.error(
                    &item.span,
                    format!("{location} config must specify the file where to fetch the config from"),
                );
                return None;
            };
            ChildSource::Project { project: text, files, git_ref: check.text(map, "ref", location) }
        }
        "remote" => ChildSource::Remote(text),
        "template" => ChildSource::Template(text),
        _ => ChildSource::Component(text),
    })
}
