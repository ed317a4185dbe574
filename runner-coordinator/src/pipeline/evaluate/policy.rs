//! `only` and `except` against the facts.

use super::super::context::{Facts, RefKind};
use super::super::entries::policy::{Policy, RefPattern};
use super::super::error::CompileError;
use super::super::expand::Scope;
use super::super::expression::Expression;
use super::super::rules::World;

/// Whether `only` and `except` let a job in: all keys of `only` hold and no key of `except` does.
pub(super) fn lets_in(
    only: Option<&Policy>,
    except: Option<&Policy>,
    facts: &Facts,
    scope: &Scope,
    world: &World<'_>,
) -> Result<bool, CompileError> {
    if let Some(only) = only {
        let clauses = clauses(only, facts, scope, world)?;
        if clauses.iter().any(|(_, holds)| !holds) {
            return Ok(false);
        }
    }
    match except {
        Some(except) => Ok(!clauses(except, facts, scope, world)?.iter().any(|(_, holds)| *holds)),
        None => Ok(true),
    }
}

/// One verdict for each key that is given, with the key and its values in words.
pub(super) fn clauses(
    policy: &Policy,
    facts: &Facts,
    scope: &Scope,
    world: &World<'_>,
) -> Result<Vec<(String, bool)>, CompileError> {
    let mut verdicts = Vec::new();
    if let Some(refs) = &policy.refs {
        let names: Vec<String> = refs.iter().map(RefPattern::to_string).collect();
        let holds = refs.iter().any(|pattern| pattern.matches(facts));
        verdicts.push((format!("refs {}", names.join(", ")), holds));
    }
    if let Some(variables) = &policy.variables {
        let texts: Vec<&str> = variables.iter().map(Expression::text).collect();
        let holds = variables.iter().any(|expression| expression.holds(scope));
        verdicts.push((format!("variables {}", texts.join(", ")), holds));
    }
    if let Some(changes) = &policy.changes {
        // Only pushes and merge requests have something to compare with, and the children of their pipelines.
        let comparable = matches!(facts.source.as_str(), "push" | "merge_request_event" | "parent_pipeline");
        let holds = !comparable || changes.hold(scope, world)?;
        verdicts.push((format!("changes {}", changes.paths.join(", ")), holds));
    }
    if policy.kubernetes {
        world.note("`kubernetes: active` is taken as false: no cluster is connected here".to_owned());
        verdicts.push(("kubernetes active".to_owned(), false));
    }
    Ok(verdicts)
}

impl std::fmt::Display for RefPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.project {
            Some(project) => write!(f, "{}@{project}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl RefPattern {
    fn matches(&self, facts: &Facts) -> bool {
        self.project.as_ref().is_none_or(|project| *project == facts.project_path) && self.matches_ref(facts)
    }

    fn matches_ref(&self, facts: &Facts) -> bool {
        match self.name.as_str() {
            "branches" => return facts.ref_kind == RefKind::Branch,
            "tags" => return facts.ref_kind == RefKind::Tag,
            _ => {}
        }
        let source = facts.source.strip_suffix("_event").unwrap_or(&facts.source);
        if self.name == source || self.name == plural(source) {
            return true;
        }
        // Names and patterns say nothing about merge requests.
        if facts.ref_kind == RefKind::MergeRequest {
            return false;
        }
        match &self.pattern {
            Some(pattern) => pattern.is_match(&facts.ref_name),
            None => self.name == facts.ref_name,
        }
    }
}

fn plural(source: &str) -> String {
    if source.ends_with("sh") { format!("{source}es") } else { format!("{source}s") }
}
