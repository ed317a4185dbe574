//! One entry of `include`: which file, and under which conditions.

use super::super::error::CompileError;
use super::super::expand::Scope;
use super::super::span::Span;
use super::super::suggest;
use super::super::yaml::{Entry, Map, Node};

/// Keys that say where an include comes from.
const KINDS: [&str; 6] = ["local", "project", "remote", "template", "artifact", "component"];
/// All keys of an entry.
const KEYS: [&str; 12] = [
    "local",
    "project",
    "remote",
    "template",
    "artifact",
    "component",
    "file",
    "ref",
    "job",
    "integrity",
    "rules",
    "inputs",
];

/// One entry.
#[derive(Debug)]
pub(crate) struct Include {
    pub(crate) kind: Kind,
    pub(crate) rules: Option<Node>,
    pub(crate) inputs: Option<Entry>,
    pub(crate) span: Span,
}

/// Where the file comes from; texts are expanded.
#[derive(Debug)]
pub(crate) enum Kind {
    Local(String),
    Project { project: String, files: Vec<String>, git_ref: Option<String> },
    Component(String),
    Remote(String),
    Template(String),
    Artifact { artifact: String, job: Option<String> },
}

impl Kind {
    /// Key and values in words.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Local(path) => format!("include:local {path}"),
            Self::Project { project, files, git_ref } => {
                let git_ref = git_ref.as_ref().map_or(String::new(), |git_ref| format!(", ref {git_ref}"));
                format!("include:project {project}, file {}{git_ref}", files.join(", "))
            }
            Self::Component(address) => format!("include:component {address}"),
            Self::Remote(url) => format!("include:remote {url}"),
            Self::Template(name) => format!("include:template {name}"),
            Self::Artifact { artifact, job } => {
                let job = job.as_ref().map_or(String::new(), |job| format!(" of job {job}"));
                format!("include:artifact {artifact}{job}")
            }
        }
    }
}

/// Reads the value of `include`: one entry or a list of them.
pub(crate) fn entries(value: &Node, scope: &Scope) -> Result<Vec<Include>, CompileError> {
    match value.as_list() {
        Some(items) => items.iter().map(|item| entry(item, scope)).collect(),
        None => Ok(vec![entry(value, scope)?]),
    }
}

fn entry(node: &Node, scope: &Scope) -> Result<Include, CompileError> {
    if let Some(text) = node.as_text() {
        let text = scope.expand(text);
        let kind = if text.starts_with("http://") || text.starts_with("https://") {
            Kind::Remote(text)
        } else {
            Kind::Local(text)
        };
        return Ok(Include { kind, rules: None, inputs: None, span: node.span.clone() });
    }
    let Some(map) = node.as_map() else {
        return Err(CompileError::new(&node.span, "include config should be a hash or a string"));
    };
    let given: Vec<&str> = KINDS.into_iter().filter(|kind| map.get(kind).is_some()).collect();
    let list = KINDS.map(|kind| format!("`{kind}`")).join(", ");
    let key = match *given.as_slice() {
        [key] => key,
        [] => {
            let message = format!(
                "`{}` does not have a valid subkey for include. Valid subkeys are: {list}",
                json(map)
            );
            return Err(CompileError::new(&node.span, message));
        }
        _ => {
            let message = format!("Each include must use only one of: {list}");
            return Err(CompileError::new(&node.span, message));
        }
    };
    let unknown: Vec<&str> = map.iter().map(|(key, _)| &**key).filter(|key| !KEYS.contains(key)).collect();
    if !unknown.is_empty() {
        let message = format!("include config contains unknown keys: {}", unknown.join(", "));
        let error = CompileError::new(&node.span, message);
        return Err(error.help(suggest::closest_of(&unknown, &KEYS, "see the keywords of `include`")));
    }
    let kind = kind(key, map, scope, &node.span)?;
    let span = map.entry(key).map_or_else(|| node.span.clone(), |entry| entry.key_span.clone());
    Ok(Include { kind, rules: map.get("rules").cloned(), inputs: map.entry("inputs").cloned(), span })
}

fn kind(key: &str, map: &Map, scope: &Scope, span: &Span) -> Result<Kind, CompileError> {
    let text = |key: &str| match map.get(key) {
        None => Ok(None),
        Some(node) => match node.as_text() {
            Some(text) => Ok(Some(scope.expand(text))),
            None => Err(CompileError::new(&node.span, format!("include {key} should be a string"))),
        },
    };
    let value = text(key)?.unwrap_or_default();
    Ok(match key {
        "local" => Kind::Local(value),
        "project" => Kind::Project { project: value, files: files(map, scope, span)?, git_ref: text("ref")? },
        "artifact" => Kind::Artifact { artifact: value, job: text("job")? },
        "remote" => Kind::Remote(value),
        "template" => Kind::Template(value),
        _ => Kind::Component(value),
    })
}

/// `file` of a project include: one or several.
fn files(map: &Map, scope: &Scope, span: &Span) -> Result<Vec<String>, CompileError> {
    let wrong = |span: &Span| {
        CompileError::new(span, "include config must specify the file where to fetch the config from")
    };
    let node = map.get("file").ok_or_else(|| wrong(span))?;
    let names: Option<Vec<String>> = match node.as_list() {
        Some(items) => items.iter().map(|item| item.as_text().map(|text| scope.expand(text))).collect(),
        None => node.as_text().map(|text| vec![scope.expand(text)]),
    };
    names.filter(|names| !names.is_empty()).ok_or_else(|| wrong(&node.span))
}

/// The entry in the form of JSON, as GitLab shows it.
fn json(map: &Map) -> String {
    let pairs: Vec<String> = map
        .iter()
        .map(|(key, entry)| {
            format!(
                "{key:?}:{}",
                entry.value.scalar_text().map_or("…".to_owned(), |text| format!("{text:?}"))
            )
        })
        .collect();
    format!("{{{}}}", pairs.join(","))
}
