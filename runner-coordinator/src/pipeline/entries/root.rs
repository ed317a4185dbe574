//! The whole configuration: global keywords and jobs.

use super::super::check::{Check, flatten};
use super::super::error::CompileError;
use super::super::job::Variable;
use super::super::span::Span;
use super::super::stages;
use super::super::yaml::{Map, Node};
use super::default::{DEFAULT_KEYS, Inheritable, TOP_LEVEL_KEYS};
use super::inherit::Inherit;
use super::job::{Draft, Surroundings, job};
use super::variables::root_variables;
use super::workflow::{Workflow, workflow};

/// Top-level keys that are not jobs. `types` is the old name of `stages`.
const KEYWORDS: [&str; 12] = [
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
    /// Whether every visible job is among them; otherwise mistakes say why not.
    pub(crate) complete: bool,
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
    let count = visible.len();
    let jobs: Vec<Draft> = visible
        .into_iter()
        .take(MAX_JOBS)
        .filter_map(|(name, entry)| job(check, name, entry, &around))
        .collect();
    Root { stages, variables, workflow, complete: jobs.len() == count, jobs }
}

/// `default`, and what of it may stand at the top level.
fn default(check: &mut Check, root: &Map) -> Inheritable {
    let top_level = Inheritable::parse_top_level(check, root);
    let Some(node) = root.get("default") else { return top_level };
    let Some(map) = check.hash(node, "default", &DEFAULT_KEYS) else { return top_level };
    for key in TOP_LEVEL_KEYS {
        if let (Some(_), Some(entry)) = (map.get(key), root.entry(key).filter(|entry| !entry.value.is_null()))
        {
            check.error(&entry.key_span, format!("{key} is defined in top-level and `default:` entry"));
        }
    }
    Inheritable::parse(check, map, "default").inherit(&top_level, &Inherit::All)
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
