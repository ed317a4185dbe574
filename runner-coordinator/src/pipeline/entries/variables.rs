//! `variables`. <https://docs.gitlab.com/ci/yaml/#variables>

use super::super::check::Check;
use super::super::error::CompileError;
use super::super::job::Variable;
use super::super::yaml::{Entry, Map, Node};

/// Variables of a job or a rule.
pub(crate) fn job_variables(check: &mut Check, node: &Node, location: &str) -> Vec<Variable> {
    variables(check, node, location, &["value", "expand"])
}

/// Variables at the top level, which may carry a description and options for the form of manual pipelines.
pub(crate) fn root_variables(check: &mut Check, node: &Node, location: &str) -> Vec<Variable> {
    variables(check, node, location, &["value", "description", "expand", "options"])
}

/// `above` over `below`: the later value at the position of the earlier one.
pub(crate) fn merge(below: &[Variable], above: &[Variable]) -> Vec<Variable> {
    let mut merged: indexmap::IndexMap<&str, &Variable> =
        below.iter().map(|variable| (variable.key.as_str(), variable)).collect();
    for variable in above {
        merged.insert(&variable.key, variable);
    }
    merged.into_values().cloned().collect()
}

fn variables(check: &mut Check, node: &Node, location: &str, keys: &[&str]) -> Vec<Variable> {
    let Some(map) = node.as_map() else {
        let error = CompileError::new(&node.span, format!("{location} config should be a hash"));
        check.push(error.help("write NAME: VALUE, each in its own line, without dashes"));
        return Vec::new();
    };
    map.iter()
        .filter_map(|(key, entry)| {
            let (value, raw) = value(check, key, entry, location, keys)?;
            Some(Variable { key: key.to_string(), value, raw })
        })
        .collect()
}

fn value(
    check: &mut Check,
    key: &str,
    entry: &Entry,
    location: &str,
    keys: &[&str],
) -> Option<(String, bool)> {
    if entry.value.is_null() {
        return Some((String::new(), false));
    }
    if let Some(text) = entry.value.scalar_text() {
        return Some((text, false));
    }
    let Some(map) = entry.value.as_map() else {
        let message =
            format!("{location}:{key} config variable definition must be either a string or a hash");
        check.error(&entry.value.span, message);
        return None;
    };
    let unknown: Vec<&str> = map.iter().map(|(key, _)| &**key).filter(|key| !keys.contains(key)).collect();
    if !unknown.is_empty() {
        let message = format!("{location}:{key} config uses invalid data keys: {}", unknown.join(", "));
        let mut error = CompileError::new(&entry.value.span, message);
        if unknown.iter().all(|key| matches!(*key, "description" | "options")) {
            error = error.help("description and options belong to variables at the top level");
        }
        check.push(error);
        return None;
    }
    detailed(check, map, &format!("{location}:{key}"))
}

fn detailed(check: &mut Check, map: &Map, location: &str) -> Option<(String, bool)> {
    let raw = check.flag(map, "expand", location) == Some(false);
    let value = match map.get("value") {
        None => String::new(),
        Some(node) => match node.scalar_text() {
            Some(text) => text,
            None => {
                check.error(&node.span, format!("{location} config value should be a string"));
                return None;
            }
        },
    };
    if let Some(options) = map.get("options") {
        let known: Option<Vec<String>> =
            options.as_list().map(|items| items.iter().filter_map(Node::scalar_text).collect());
        match known {
            None => {
                check
                    .error(&options.span, format!("{location} config options should be an array of strings"));
            }
            Some(known) if map.get("value").is_some() && !known.contains(&value) => {
                check.error(&options.span, format!("{location} config value must be present in options"));
            }
            Some(_) => {}
        }
    }
    check.text(map, "description", location);
    Some((value, raw))
}
