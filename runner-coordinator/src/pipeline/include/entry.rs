//! One entry of `include`: which file, and under which conditions.

use super::super::duration;
use super::super::error::CompileError;
use super::super::expand::Scope;
use super::super::job::{ChildInclude, ChildSource};
use super::super::span::Span;
use super::super::suggest;
use super::super::yaml::{Entry, Map, Node, Value};

/// Keys that say where an include comes from.
const KINDS: [&str; 6] = ["local", "project", "remote", "template", "artifact", "component"];
/// All keys of an entry.
const KEYS: [&str; 13] = [
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
    "cache",
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
    Remote { url: String, integrity: Option<String> },
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
            Self::Remote { url, .. } => format!("include:remote {url}"),
            Self::Template(name) => format!("include:template {name}"),
            Self::Artifact { artifact, job } => {
                let job = job.as_ref().map_or(String::new(), |job| format!(" of job {job}"));
                format!("include:artifact {artifact}{job}")
            }
        }
    }

    /// What the user can do to have the file here.
    pub(crate) fn how_to_get(&self) -> String {
        match self {
            Self::Local(_) => "the path starts at the root of the repository".to_owned(),
            Self::Project { project, .. } => {
                format!("name a checkout of it with --project {project}=DIR, or leave it out with --skip-missing-includes")
            }
            Self::Component(address) => {
                let path = address.split_once('@').map_or(address.as_str(), |(path, _)| path);
                let project = path.split_once('/').and_then(|(_, rest)| rest.rsplit_once('/'));
                let project = project.map_or("group/project", |(project, _)| project);
                format!("name a checkout of it with --project {project}=DIR, or leave it out with --skip-missing-includes")
            }
            Self::Remote { .. } => {
                "see that it can be reached (without --offline), or leave it out with --skip-missing-includes".to_owned()
            }
            Self::Template(_) => {
                "name a folder of templates with --templates DIR, or leave it out with --skip-missing-includes".to_owned()
            }
            Self::Artifact { .. } => "include:artifact is only allowed in trigger:include".to_owned(),
        }
    }
}

impl Include {
    /// An entry of `trigger:include`; its texts are expanded here.
    pub(crate) fn of_child(child: &ChildInclude, scope: &Scope, span: &Span) -> Self {
        let kind = match &child.source {
            ChildSource::Local(path) => Kind::Local(scope.expand(path)),
            ChildSource::Artifact { artifact, job } => {
                Kind::Artifact { artifact: scope.expand(artifact), job: Some(scope.expand(job)) }
            }
            ChildSource::Project { project, files, git_ref } => Kind::Project {
                project: scope.expand(project),
                files: files.iter().map(|file| scope.expand(file)).collect(),
                git_ref: git_ref.as_ref().map(|git_ref| scope.expand(git_ref)),
            },
            ChildSource::Remote(url) => {
                let integrity = child.integrity.as_ref().map(|integrity| scope.expand(integrity));
                Kind::Remote { url: scope.expand(url), integrity }
            }
            ChildSource::Template(name) => Kind::Template(scope.expand(name)),
            ChildSource::Component(address) => Kind::Component(scope.expand(address)),
        };
        let inputs = (!child.inputs.is_empty()).then(|| Entry {
            key_span: span.clone(),
            value: Node::from_json(&child.inputs.clone().into(), span),
        });
        let rules = child.rules.as_ref().map(|rules| Node::from_json(rules, span));
        Self { kind, rules, inputs, span: span.clone() }
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
            Kind::Remote { url: text, integrity: None }
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
        let place =
            unknown.first().and_then(|key| map.entry(key)).map_or(&node.span, |entry| &entry.key_span);
        let fallback = format!("it knows {}", KEYS.join(", "));
        return Err(CompileError::new(place, message).help(suggest::closest_of(&unknown, &KEYS, &fallback)));
    }
    check_cache(map)?;
    let kind = kind(key, map, scope, &node.span)?;
    let span = map.entry(key).map_or_else(|| node.span.clone(), |entry| entry.key_span.clone());
    Ok(Include { kind, rules: map.get("rules").cloned(), inputs: map.entry("inputs").cloned(), span })
}

/// `cache` says how long the server keeps a remote file. Here all of them are kept until they are asked for again.
fn check_cache(map: &Map) -> Result<(), CompileError> {
    let Some(node) = map.get("cache") else { return Ok(()) };
    let is_flag = matches!(node.value, Value::Bool(_));
    if is_flag || node.as_text().is_some_and(|text| duration::parse(text).is_some()) {
        return Ok(());
    }
    Err(CompileError::new(&node.span, "include cache should be a boolean value or a duration"))
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
        "remote" => Kind::Remote { url: value, integrity: text("integrity")? },
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
