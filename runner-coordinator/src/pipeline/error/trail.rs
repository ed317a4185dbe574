//! How a place came to take part: through which includes and which `extends`.

use std::fmt;

use super::super::include::Sources;
use super::super::span::Span;
use super::super::yaml::{Map, Node, Value};
use super::{CompileError, Excerpt};

/// Longest way that is told.
const MAX_STEPS: usize = 20;
/// How many nodes are looked at for one mistake.
const MAX_LOOKS: usize = 100_000;

/// One step of the way from the root file to the place of a mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// Where the step is written.
    pub span: Span,
    /// What it says.
    pub text: String,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.span, self.text)
    }
}

/// Where the parts of a configuration come from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    pub(crate) sources: Sources,
    /// The tree after includes and before `extends`.
    pub(crate) tree: Map,
}

impl Origin {
    /// Adds line and way to a mistake.
    pub(crate) fn explain(&self, error: &mut CompileError) {
        if error.excerpt.is_none()
            && let Some(text) = self.sources.texts.get(&error.span.file)
        {
            error.excerpt = Excerpt::of(text, error.span.line, error.span.column).map(Box::new);
        }
        if error.trail.is_empty() {
            error.trail = self.extends(error);
            error.trail.extend(self.includes(&error.span));
            error.trail.truncate(MAX_STEPS);
        }
    }

    /// From the file of a place to the root file.
    fn includes(&self, span: &Span) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut file = &span.file;
        while let Some(span) = self.sources.included_at.get(file).filter(|_| steps.len() < MAX_STEPS) {
            steps.push(Step { span: span.clone(), text: format!("`{file}` is included here") });
            file = &span.file;
        }
        steps
    }

    /// From the job that a mistake is about to the job that the value is inherited from.
    fn extends(&self, error: &CompileError) -> Vec<Step> {
        let Some(name) = self.job_of(&error.message) else { return Vec::new() };
        let mut looks = MAX_LOOKS;
        let mut way = Vec::new();
        if self.find(name, &error.span, &mut way, &mut looks) { way } else { Vec::new() }
    }

    /// The job that a message is about; the longest name that fits.
    fn job_of(&self, message: &str) -> Option<&str> {
        let fits = |name: &&str| {
            let after = |rest: &str| rest.starts_with([':', ' ']);
            message.strip_prefix("jobs:").and_then(|rest| rest.strip_prefix(*name)).is_some_and(after)
                || message.strip_prefix(*name).is_some_and(|rest| rest.starts_with(" job:"))
        };
        self.tree.iter().map(|(name, _)| &**name).filter(fits).max_by_key(|name| name.len())
    }

    /// Whether a job holds the place, itself or through its ancestors; `way` tells through which.
    fn find(&self, name: &str, span: &Span, way: &mut Vec<Step>, looks: &mut usize) -> bool {
        let Some(entry) = self.tree.entry(name) else { return false };
        if entry.key_span == *span || contains(&entry.value, span, looks) {
            return true;
        }
        if way.len() >= MAX_STEPS || *looks == 0 {
            return false;
        }
        let Some(extends) = entry.value.as_map().and_then(|map| map.entry("extends")) else { return false };
        let single = [extends.value.clone()];
        let parents = extends.value.as_list().unwrap_or(&single);
        // The last one that defines something wins.
        for parent in parents.iter().rev().filter_map(Node::as_text) {
            let text = format!("`{name}` extends `{parent}` here");
            way.push(Step { span: extends.key_span.clone(), text });
            if self.find(parent, span, way, looks) {
                return true;
            }
            way.pop();
        }
        false
    }
}

/// Whether a tree has a key or value at this place.
fn contains(node: &Node, span: &Span, looks: &mut usize) -> bool {
    if *looks == 0 {
        return false;
    }
    *looks -= 1;
    if node.span == *span {
        return true;
    }
    match &node.value {
        Value::List(list) => list.items().iter().any(|item| contains(item, span, looks)),
        Value::Map(map) => {
            map.iter().any(|(_, entry)| entry.key_span == *span || contains(&entry.value, span, looks))
        }
        _ => false,
    }
}
