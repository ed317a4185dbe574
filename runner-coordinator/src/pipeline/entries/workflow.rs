//! `workflow`. <https://docs.gitlab.com/ci/yaml/#workflow>

use super::super::check::Check;
use super::super::rules::{Rule, RulesOf, parse_rules};
use super::super::yaml::Node;

/// `workflow`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Workflow {
    pub(crate) name: Option<String>,
    pub(crate) rules: Option<Vec<Rule>>,
}

/// Reads `workflow`.
pub(crate) fn workflow(check: &mut Check, node: &Node) -> Workflow {
    let Some(map) = check.hash(node, "workflow", &["rules", "name", "auto_cancel"]) else {
        return Workflow::default();
    };
    let name = check.text(map, "name", "workflow");
    if let (Some(node), true) =
        (map.get("name"), name.as_ref().is_some_and(|name| name.chars().count() > 255))
    {
        check.error(&node.span, "workflow name is too long (maximum is 255 characters)");
    }
    if let Some(node) = map.get("auto_cancel") {
        auto_cancel(check, node);
    }
    Workflow {
        name,
        rules: map.get("rules").map(|node| parse_rules(check, node, "workflow:rules", RulesOf::Workflow)),
    }
}

/// `on_new_commit` is about older pipelines and says nothing here.
fn auto_cancel(check: &mut Check, node: &Node) {
    let location = "workflow:auto_cancel";
    let Some(map) = check.hash(node, location, &["on_new_commit", "on_job_failure"]) else { return };
    check.one_of(map, "on_new_commit", location, &["conservative", "interruptible", "none"]);
    if check.one_of(map, "on_job_failure", location, &["none", "all"]).as_deref() == Some("all") {
        check.ignore("workflow:auto_cancel:on_job_failure");
    }
}
