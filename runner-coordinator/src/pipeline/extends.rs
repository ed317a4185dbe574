//! `extends`: jobs built from other jobs. <https://docs.gitlab.com/ci/yaml/#extends>

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::error::CompileError;
use super::merge::{check_size, deep_merge};
use super::span::Span;
use super::suggest::closest_of;
use super::yaml::{Entry, Map, Node, Value};

/// Most ancestors in one chain.
const MAX_ANCESTORS: usize = 10;

/// Resolves `extends` of every top-level hash.
pub(crate) fn resolve(root: &Map, span: &Span) -> Result<Map, CompileError> {
    let mut resolver = Resolver { root, done: HashMap::new() };
    let mut entries = IndexMap::with_capacity(root.len());
    for (key, entry) in root.iter() {
        let extended = resolver.extend(key, entry, &mut Vec::new())?;
        entries.insert(key.clone(), Entry { key_span: entry.key_span.clone(), value: extended.node });
    }
    let merged = Map::new(entries);
    check_size(&merged, span)?;
    Ok(merged)
}

struct Resolver<'r> {
    root: &'r Map,
    done: HashMap<Arc<str>, Extended>,
}

#[derive(Clone)]
struct Extended {
    node: Node,
    /// Length of the longest chain of ancestors.
    height: usize,
}

impl Resolver<'_> {
    /// The depth of recursion is limited by [`MAX_ANCESTORS`].
    fn extend(
        &mut self,
        key: &Arc<str>,
        entry: &Entry,
        path: &mut Vec<Arc<str>>,
    ) -> Result<Extended, CompileError> {
        if let Some(done) = self.done.get(key) {
            return if path.len() + done.height > MAX_ANCESTORS {
                Err(too_deep(path.first().unwrap_or(key), &entry.key_span))
            } else {
                Ok(done.clone())
            };
        }
        let Some(own) = entry.value.as_map().filter(|map| map.entry("extends").is_some()) else {
            return if path.len() > MAX_ANCESTORS {
                Err(too_deep(path.first().unwrap_or(key), &entry.key_span))
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
        let span = own
            .entry("extends")
            .map_or_else(|| Span { file: Arc::from(""), line: 1, column: 1 }, |entry| entry.key_span.clone());
        let pick = |wrong: &dyn Fn(&str) -> bool| -> Vec<&str> {
            parents.iter().map(|parent| &**parent).filter(|parent| wrong(parent)).collect()
        };
        let unknown = pick(&|parent| self.root.entry(parent).is_none());
        if !unknown.is_empty() {
            let message = format!("{key}: unknown keys in `extends` ({})", unknown.join(", "));
            let known: Vec<&str> = self.root.entries().keys().map(|name| &**name).collect();
            let fallback = "jobs can only extend what this file or its includes define";
            return Err(CompileError::new(&span, message).help(closest_of(&unknown, &known, fallback)));
        }
        let invalid =
            pick(&|parent| self.root.entry(parent).is_some_and(|entry| entry.value.as_map().is_none()));
        if !invalid.is_empty() {
            let message = format!("{key}: invalid base hashes in `extends` ({})", invalid.join(", "));
            return Err(CompileError::new(&span, message));
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
