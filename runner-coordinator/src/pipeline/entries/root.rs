//! The whole configuration: global keywords and jobs.

use super::super::check::{Check, flatten};
use super::super::error::{Code, CompileError};
use super::super::job::Variable;
use super::super::span::Span;
use super::super::stages;
use super::super::suggest::closest_of;
use super::super::yaml::{Map, Node};
use super::default::{DEFAULT_KEYS, Inheritable, TOP_LEVEL_KEYS};
use super::inherit::Inherit;
use super::job::{Draft, JOB_KEYS, Surroundings, job};
use super::variables::root_variables;
use super::workflow::{Workflow, workflow};

/// Top-level keys that are not jobs. `types` is the old name of `stages`.
pub(super) const KEYWORDS: [&str; 12] = [
    "default",
    "include",
    "variables",
    "stages",
    "types",
    "workflow",
    "image",
    "services",
    "cache",
    "before_script",
    "after_script",
    "spec",
];
/// Most visible jobs.
const MAX_JOBS: usize = 10_000;

/// A validated configuration, names of jobs not yet resolved.
#[derive(Debug)]
pub(crate) struct Root {
    /// `.pre`, the stages, `.post`.
    pub(crate) stages: Vec<String>,
    pub(crate) variables: Vec<Variable>,
    pub(crate) workflow: Workflow,
    pub(crate) jobs: Vec<Draft>,
    /// Visible jobs that are not among them; mistakes say why not.
    pub(crate) unreadable: Vec<String>,
}

/// Reads the merged tree.
pub(crate) fn root(check: &mut Check, root: &Map, span: &Span) -> Root {
    let default = default(check, root);
    let workflow = root.get("workflow").map(|node| workflow(check, node)).unwrap_or_default();
    let variables =
        root.get("variables").map(|node| root_variables(check, node, "variables")).unwrap_or_default();
    let stages = stages::ordered(written_stages(check, root));
    if let Some(entry) = root.entry("spec") {
        check.error(&entry.key_span, "spec is only allowed in a header, separated by a line `---`");
    }
    let around = Surroundings { default, has_workflow_rules: workflow.rules.is_some() };
    let visible: Vec<_> =
        root.iter().filter(|(name, _)| !name.starts_with('.') && !KEYWORDS.contains(&&***name)).collect();
    if visible.is_empty() {
        check.push(
            CompileError::new(span, "jobs config should contain at least one visible job")
                .help("jobs whose names start with a dot are templates")
                .missing(),
        );
    }
    if let Some((_, entry)) = visible.get(MAX_JOBS) {
        check.error(&entry.key_span, format!("jobs config has too many jobs (maximum is {MAX_JOBS})"));
    }
    let mut jobs = Vec::new();
    let mut unreadable = Vec::new();
    // Of too many jobs none is looked at.
    let looked_at = if visible.len() > MAX_JOBS { 0 } else { visible.len() };
    for (name, entry) in visible.into_iter().take(looked_at) {
        match job(check, name, entry, &around) {
            Some(draft) => jobs.push(draft),
            None => unreadable.push(name.to_string()),
        }
    }
    Root { stages, variables, workflow, jobs, unreadable }
}

/// `default`, and what of it may stand at the top level.
fn default(check: &mut Check, root: &Map) -> Inheritable {
    let top_level = Inheritable::parse_top_level(check, root);
    let Some(node) = root.get("default") else { return top_level };
    let Some(map) = node.as_map() else {
        check.hash(node, "default", &DEFAULT_KEYS);
        return top_level;
    };
    known_defaults(check, map);
    for key in TOP_LEVEL_KEYS {
        if let (Some(_), Some(entry)) = (map.get(key), root.entry(key).filter(|entry| !entry.value.is_null()))
        {
            check.error(&entry.key_span, format!("{key} is defined in top-level and `default:` entry"));
        }
    }
    Inheritable::parse(check, map, "default").inherit(&top_level, &Inherit::All)
}

/// Other keywords of jobs have no default.
fn known_defaults(check: &mut Check, map: &Map) {
    let unknown: Vec<&str> =
        map.iter().map(|(key, _)| &**key).filter(|key| !DEFAULT_KEYS.contains(key)).collect();
    let Some(entry) = unknown.first().and_then(|key| map.entry(key)) else { return };
    let message = format!("default config contains unknown keys: {}", unknown.join(", "));
    let help = match unknown.iter().find(|key| JOB_KEYS.contains(key)) {
        Some(&"variables") => "write `variables` at the top level".to_owned(),
        Some(key) => format!("`{key}` has no default; write it into a template that jobs name in `extends`"),
        None => closest_of(&unknown, &DEFAULT_KEYS, &format!("it knows {}", DEFAULT_KEYS.join(", "))),
    };
    check.push(CompileError::new(&entry.key_span, message).code(Code::UnknownKey).help(help));
}

fn written_stages(check: &mut Check, root: &Map) -> Option<Vec<String>> {
    let key = if root.get("stages").is_some() { "stages" } else { "types" };
    let entry = root.entry(key).filter(|entry| !entry.value.is_null())?;
    if key == "types" {
        check.notes.push(format!("{}: `types` is the old name of `stages`", entry.key_span));
    }
    let stages: Option<Vec<String>> =
        flatten(&entry.value).and_then(|items| items.into_iter().map(stage_name).collect());
    if stages.is_none() {
        check.error(
            &entry.value.span,
            format!(
                "{key} config should be an array of strings or a nested array of strings up to 10 levels deep"
            ),
        );
    }
    stages
}

fn stage_name(node: &Node) -> Option<String> {
    node.as_text().map(str::to_owned)
}
