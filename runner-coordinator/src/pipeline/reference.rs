//! `!reference`: a value taken from elsewhere in the configuration.
//! <https://docs.gitlab.com/ci/yaml/yaml_optimization/#reference-tags>

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::error::CompileError;
use super::merge::check_size;
use super::span::Span;
use super::suggest;
use super::yaml::{Entry, MAX_DEPTH, Map, Node, Value};

/// Deepest nesting while references are followed: a tree of the greatest depth that refers to another one.
const MAX_STEPS: u32 = 2 * MAX_DEPTH;
const TOO_DEEP: &str = "!reference is nested too deep";
/// More mistakes than this are not collected.
const MAX_ERRORS: usize = 100;

/// Replaces every reference by what it names. One that fails stays as it is, next to the mistakes.
pub(crate) fn resolve(root: &Map, span: &Span) -> (Map, Vec<CompileError>) {
    let mut resolver = Resolver { root, done: HashMap::new(), open: Vec::new(), errors: Vec::new() };
    let resolved = resolver.map(root, 0);
    let mut errors = resolver.errors;
    if let (Err(error), true) = (check_size(&resolved, span), errors.is_empty()) {
        errors.push(error);
    }
    (resolved, errors)
}

type Path = Arc<[Arc<str>]>;

struct Resolver<'r> {
    root: &'r Map,
    done: HashMap<Path, Node>,
    /// References that are being followed.
    open: Vec<Path>,
    errors: Vec<CompileError>,
}

impl Resolver<'_> {
    fn node(&mut self, node: &Node, steps: u32) -> Node {
        let resolved = if steps > MAX_STEPS {
            Err(CompileError::new(&node.span, TOO_DEEP))
        } else {
            self.resolved(node, steps)
        };
        resolved.unwrap_or_else(|error| {
            // Of what is too deep every level would be a mistake of its own.
            let is_known = |known: &CompileError| {
                known == &error || (known.message == TOO_DEEP && error.message == TOO_DEEP)
            };
            if self.errors.len() < MAX_ERRORS && !self.errors.iter().any(is_known) {
                self.errors.push(error);
            }
            Node::new(Value::Null, node.span.clone())
        })
    }

    fn resolved(&mut self, node: &Node, steps: u32) -> Result<Node, CompileError> {
        let resolved = match &node.value {
            Value::Reference(path) => self.follow(path, &node.span, steps)?,
            Value::List(list) if node.size().references => {
                let items = list.items().iter().map(|item| self.node(item, steps + 1)).collect();
                Node::list(items, node.span.clone())
            }
            Value::Map(map) if node.size().references => {
                Node::map(self.map(map, steps + 1), node.span.clone())
            }
            _ => return Ok(node.clone()),
        };
        // References to references nest the result, even where nothing here is nested deeply.
        if resolved.size().depth > MAX_STEPS {
            return Err(CompileError::new(&node.span, TOO_DEEP));
        }
        Ok(resolved)
    }

    fn map(&mut self, map: &Map, steps: u32) -> Map {
        let mut entries = IndexMap::with_capacity(map.len());
        for (key, entry) in map.iter() {
            let value = self.node(&entry.value, steps);
            entries.insert(key.clone(), Entry { key_span: entry.key_span.clone(), value });
        }
        Map::new(entries)
    }

    fn follow(&mut self, path: &Path, span: &Span, steps: u32) -> Result<Node, CompileError> {
        if let Some(done) = self.done.get(path) {
            return Ok(done.clone());
        }
        if self.open.contains(path) {
            return Err(CompileError::new(
                span,
                format!("!reference {} is part of a circular chain", shown(path)),
            ));
        }
        let target = self.target(path, span)?;
        self.open.push(path.clone());
        let resolved = self.node(&target, steps + 1);
        self.open.pop();
        self.done.insert(path.clone(), resolved.clone());
        Ok(resolved)
    }

    fn target(&self, path: &Path, span: &Span) -> Result<Node, CompileError> {
        let mut map = self.root;
        let (last, keys) = path.split_last().ok_or_else(|| invalid(path, span))?;
        for key in keys {
            let value = map.get(key).ok_or_else(|| missing(path, span, map, key))?;
            map = value.as_map().ok_or_else(|| invalid(path, span))?;
        }
        map.get(last).cloned().ok_or_else(|| missing(path, span, map, last))
    }
}

/// There is no such key in the last hash that was found, or it holds nothing.
fn missing(path: &Path, span: &Span, map: &Map, key: &str) -> CompileError {
    let error = CompileError::new(span, format!("!reference {} could not be found", shown(path))).missing();
    if map.entry(key).is_some() {
        return error.help(format!("`{key}` is empty"));
    }
    match suggest::closest(key, map.iter().map(|(known, _)| &**known)) {
        Some(near) => error.help(format!("did you mean `{near}` instead of `{key}`?")),
        None => error,
    }
}

fn invalid(path: &Path, span: &Span) -> CompileError {
    CompileError::new(span, format!("!reference {} is not valid", shown(path)))
        .help("the path of a reference consists of keys of hashes")
}

fn shown(path: &Path) -> String {
    let keys: Vec<String> = path.iter().map(|key| format!("{key:?}")).collect();
    format!("[{}]", keys.join(", "))
}
