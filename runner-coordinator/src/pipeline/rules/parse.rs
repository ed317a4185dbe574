//! Reading `rules`.

use std::time::Duration;

use super::super::check::{Check, flatten};
use super::super::entries::needs::{NeedSpec, needs};
use super::super::entries::variables::job_variables;
use super::super::entries::workflow::auto_cancel;
use super::super::error::CompileError;
use super::super::job::{Variable, When};
use super::super::span::Span;
use super::super::yaml::{Map, Node, Value};
use super::clauses::Clauses;

/// Longest `start_in`.
const MAX_DELAY: Duration = Duration::from_secs(7 * 24 * 3600);

/// One rule: conditions and what follows from them.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) clauses: Clauses,
    pub(crate) when: Option<RuleWhen>,
    pub(crate) start_in: Option<Duration>,
    pub(crate) allow_failure: Option<bool>,
    pub(crate) variables: Vec<Variable>,
    pub(crate) needs: Option<Vec<NeedSpec>>,
    pub(crate) interruptible: Option<bool>,
    /// `auto_cancel:on_job_failure` of a workflow rule.
    pub(crate) cancel_on_failure: Option<bool>,
    pub(crate) span: Span,
}

/// `when` of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RuleWhen {
    /// The job is left out.
    Never,
    /// The job takes part and starts like this.
    Start(When),
}

/// Whose rules they are; what they may say depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RulesOf {
    Job,
    Workflow,
    Include,
}

/// Reads a list of rules, nested lists included.
pub(crate) fn parse_rules(check: &mut Check, node: &Node, location: &str, of: RulesOf) -> Vec<Rule> {
    let Some(items) = flatten(node) else {
        let message = format!("{location} config should be an array containing hashes and arrays of hashes");
        let error = CompileError::new(&node.span, message);
        check.push(match node.value {
            Value::Map(_) => error.help("begin each rule with a dash"),
            Value::List(_) => error.help("lists are nested more than ten levels deep"),
            _ => error.help("write a list of rules, each with a dash: - if: $CI_COMMIT_BRANCH"),
        });
        return Vec::new();
    };
    if node.as_list().is_some_and(<[Node]>::is_empty) {
        check.error(&node.span, format!("{location} config can't be blank"));
    }
    let location = format!("{location}:rule");
    items.into_iter().filter_map(|item| rule(check, item, &location, of)).collect()
}

fn rule(check: &mut Check, node: &Node, location: &str, of: RulesOf) -> Option<Rule> {
    let keys: &[&str] = match of {
        RulesOf::Job => &[
            "if",
            "changes",
            "exists",
            "when",
            "start_in",
            "allow_failure",
            "variables",
            "needs",
            "interruptible",
        ],
        RulesOf::Workflow => &[
            "if",
            "changes",
            "exists",
            "when",
            "start_in",
            "allow_failure",
            "variables",
            "needs",
            "interruptible",
            "auto_cancel",
        ],
        RulesOf::Include => &["if", "changes", "exists", "when"],
    };
    if node.as_text().is_some() {
        let error = CompileError::new(&node.span, format!("{location} config should be a hash"));
        check.push(error.help("a condition begins with `if: `"));
        return None;
    }
    let map = check.hash(node, location, keys)?;
    let when = when(check, map, location, of);
    let start_in = start_in(check, map, location, when);
    let cancel_on_failure =
        map.get("auto_cancel").and_then(|node| auto_cancel(check, node, &format!("{location}:auto_cancel")));
    Some(Rule {
        clauses: Clauses::parse(check, map, location),
        when,
        start_in,
        allow_failure: check.flag(map, "allow_failure", location),
        variables: map
            .get("variables")
            .map(|node| job_variables(check, node, &format!("{location}:variables")))
            .unwrap_or_default(),
        needs: map
            .get("needs")
            .filter(|_| of == RulesOf::Job)
            .and_then(|node| needs(check, node, &format!("{location}:needs")))
            .map(|needs| needs.jobs),
        interruptible: check.flag(map, "interruptible", location),
        cancel_on_failure,
        span: node.span.clone(),
    })
}

fn when(check: &mut Check, map: &Map, location: &str, of: RulesOf) -> Option<RuleWhen> {
    let allowed: &[&str] = match of {
        RulesOf::Job => &["on_success", "on_failure", "always", "never", "manual", "delayed"],
        RulesOf::Workflow | RulesOf::Include => &["always", "never"],
    };
    Some(match check.one_of(map, "when", location, allowed)?.as_str() {
        "on_success" => RuleWhen::Start(When::OnSuccess),
        "on_failure" => RuleWhen::Start(When::OnFailure),
        "always" => RuleWhen::Start(When::Always),
        "manual" => RuleWhen::Start(When::Manual),
        "delayed" => RuleWhen::Start(When::Delayed),
        _ => RuleWhen::Never,
    })
}

fn start_in(check: &mut Check, map: &Map, location: &str, when: Option<RuleWhen>) -> Option<Duration> {
    let delayed = when == Some(RuleWhen::Start(When::Delayed));
    match map.entry("start_in").filter(|entry| !entry.value.is_null()) {
        Some(entry) if !delayed => {
            check.push(
                CompileError::new(&entry.key_span, format!("{location} start in must be blank"))
                    .help("start_in belongs to `when: delayed`"),
            );
            None
        }
        Some(_) => check.duration(map, "start_in", location, MAX_DELAY),
        None => {
            if let Some(entry) = map.entry("when").filter(|_| delayed) {
                check.error(&entry.key_span, format!("{location} start in should be a duration"));
            }
            None
        }
    }
}
