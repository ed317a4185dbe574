//! `include:rules`: whether an include takes part. <https://docs.gitlab.com/ci/yaml/includes/#use-rules-with-include>

use indexmap::IndexMap;

use super::super::check::Check;
use super::super::context::Context;
use super::super::error::CompileError;
use super::super::expand::Scope;
use super::super::files::Listing;
use super::super::rules::{RuleWhen, RulesOf, World, parse_rules};
use super::super::yaml::Node;

/// The first rule that matches decides; without a match the file is left out.
pub(super) fn included(
    rules: &Node,
    scope: &Scope,
    files: &Listing<'_>,
    context: &Context,
) -> Result<bool, CompileError> {
    let mut check = Check::default();
    let rules = parse_rules(&mut check, rules, "include:rules", RulesOf::Include);
    if let Some(error) = check.errors.into_iter().next() {
        return Err(error);
    }
    let tracked = match rules.iter().find(|rule| rule.clauses.exists.is_some()) {
        Some(rule) => files.tracked(&rule.span)?,
        None => &[],
    };
    let changed_since = IndexMap::new();
    let world = World::new(tracked, context.changed_files.as_deref(), &changed_since);
    for rule in &rules {
        if rule.clauses.hold(scope, &world)? {
            return Ok(rule.when != Some(RuleWhen::Never));
        }
    }
    Ok(false)
}
