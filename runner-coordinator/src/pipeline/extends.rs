//! `extends`: jobs built from other jobs. <https://docs.gitlab.com/ci/yaml/#extends>

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use indexmap::IndexMap;

use super::error::CompileError;
use super::merge::{check_size, deep_merge};
use super::span::Span;
use super::suggest::closest_of;
use super::yaml::{Entry, Map, Node, Value};

/// Most ancestors in one chain.
const MAX_ANCESTORS: usize = 10;
/// More mistakes than this are not collected.
const MAX_ERRORS: usize = 100;

/// Resolves `extends` of every top-level hash. A hash in which that fails stays as it is, next to the mistakes.
pub(crate) fn resolve(root: &Map, span: &Span) -> (Map, Vec<CompileError>) {
    let mut resolver = Resolver { root, done: HashMap::new(), failed: HashSet::new() };
    let mut entries = IndexMap::with_capacity(root.len());
    let mut errors = Vec::new();
    for (key, entry) in root.iter() {
        let mut path = Vec::new();
        let value = match resolver.extend(key, entry, &mut path) {
            Ok(extended) => extended.node,
            Err(failure) => {
                // What leads to a mistake is not a second one.
                resolver.failed.extend(path);
                resolver.failed.insert(key.clone());
                if errors.len() < MAX_ERRORS {
                    errors.extend(failure.0.map(|error| *error));
                }
                entry.value.clone()
            }
        };
        entries.insert(key.clone(), Entry { key_span: entry.key_span.clone(), value });
    }
    let merged = Map::new(entries);
    if let (Err(error), true) = (check_size(&merged, span), errors.is_empty()) {
        errors.push(error);
    }
    (merged, errors)
}

struct Resolver<'r> {
    root: &'r Map,
    done: HashMap<Arc<str>, Extended>,
    /// Hashes whose mistake is known already.
    failed: HashSet<Arc<str>>,
}

/// A mistake, unless it has been reported before.
#[derive(Debug)]
struct Failure(Option<Box<CompileError>>);

impl From<CompileError> for Failure {
    fn from(error: CompileError) -> Self {
        Self(Some(Box::new(error)))
    }
}

#[derive(Clone)]
struct Extended {
    node: Node,
    /// Length of the longest chain of ancestors.
    height: usize,
}

impl Resolver<'_> {
    /// The depth of recursion is limited by [`MAX_ANCESTORS`]. After a failure `path` names what leads to it.
    fn extend(
        &mut self,
        key: &Arc<str>,
        entry: &Entry,
        path: &mut Vec<Arc<str>>,
    ) -> Result<Extended, Failure> {
        if self.failed.contains(key) {
            return Err(Failure(None));
        }
        if let Some(done) = self.done.get(key) {
            return if path.len() + done.height > MAX_ANCESTORS {
                Err(too_deep(path.first().unwrap_or(key), &entry.key_span).into())
            } else {
                Ok(done.clone())
            };
        }
        let Some(own) = entry.value.as_map().filter(|map| map.entry("extends").is_some()) else {
            return if path.len() > MAX_ANCESTORS {
                Err(too_deep(path.first().unwrap_or(key), &entry.key_span).into())
            } else {
                Ok(Extended { node: entry.value.clone(), height: 0 })
            };
        };
        let parents = parent_names(own);
        self.check(key, own, &parents, path)?;
        path.push(key.clone());
        let mut base = Map::default();
        let mut height = 0;
        for parent in &parents {
            let Some((name, entry)) = self.root.entries().get_key_value(&**parent) else { continue };
            let extended = self.extend(name, entry, path)?;
            height = height.max(extended.height + 1);
            if let Value::Map(map) = &extended.node.value {
                base = deep_merge(&base, map);
            }
        }
        path.pop();
        let merged = deep_merge(&base, own);
        check_size(&merged, &entry.key_span)?;
        let done = Extended { node: Node::map(merged, entry.value.span.clone()), height };
        self.done.insert(key.clone(), done.clone());
        Ok(done)
    }

    fn check(
        &self,
        key: &Arc<str>,
        own: &Map,
        parents: &[Arc<str>],
        path: &[Arc<str>],
    ) -> Result<(), CompileError> {
        let span = own.entry("extends").map(|entry| entry.key_span.clone()).unwrap_or_default();
        let named =
            |names: &[&str]| own.get("extends").and_then(|node| place_of(node, names)).unwrap_or(&span);
        let pick = |wrong: &dyn Fn(&str) -> bool| -> Vec<&str> {
            parents.iter().map(|parent| &**parent).filter(|parent| wrong(parent)).collect()
        };
        let unknown = pick(&|parent| self.root.entry(parent).is_none());
        if !unknown.is_empty() {
            let message = format!("{key}: unknown keys in `extends` ({})", unknown.join(", "));
            let known: Vec<&str> = self.root.entries().keys().map(|name| &**name).collect();
            let fallback = "jobs can only extend what this file or its includes define";
            let place = named(&unknown);
            let help = closest_of(&unknown, &known, fallback);
            return Err(CompileError::new(place, message).help(help).missing());
        }
        let invalid =
            pick(&|parent| self.root.entry(parent).is_some_and(|entry| entry.value.as_map().is_none()));
        if !invalid.is_empty() {
            let message = format!("{key}: invalid base hashes in `extends` ({})", invalid.join(", "));
            return Err(CompileError::new(named(&invalid), message).help("only hashes can be extended"));
        }
        if path.len() > MAX_ANCESTORS {
            return Err(too_deep(path.first().unwrap_or(key), &span));
        }
        if path.contains(key) {
            return Err(CompileError::new(
                &span,
                format!("{key}: circular dependency detected in `extends`"),
            ));
        }
        Ok(())
    }
}

/// Where the first of the names stands in the value of `extends`.
fn place_of<'n>(node: &'n Node, names: &[&str]) -> Option<&'n Span> {
    let is_named = |node: &&Node| node.as_text().is_some_and(|text| names.contains(&text));
    match node.as_list() {
        Some(items) => items.iter().find(is_named).map(|item| &item.span),
        None => Some(node).filter(is_named).map(|node| &node.span),
    }
}

fn too_deep(key: &str, span: &Span) -> CompileError {
    CompileError::new(span, format!("{key}: nesting too deep in `extends`"))
        .help(format!("a job has at most {MAX_ANCESTORS} ancestors"))
}

/// Names in `extends`; anything else than strings is reported when the job is validated.
fn parent_names(own: &Map) -> Vec<Arc<str>> {
    let names = |node: &Node| match &node.value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    };
    match own.get("extends") {
        Some(node) => match node.as_list() {
            Some(items) => items.iter().filter_map(names).collect(),
            None => names(node).into_iter().collect(),
        },
        None => Vec::new(),
    }
}
