//! `workflow`. <https://docs.gitlab.com/ci/yaml/#workflow>

use super::super::check::Check;
use super::super::error::CompileError;
use super::super::rules::{Rule, RulesOf, parse_rules};
use super::super::yaml::Node;

/// `workflow`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Workflow {
    pub(crate) name: Option<String>,
    pub(crate) rules: Option<Vec<Rule>>,
    /// `auto_cancel:on_job_failure: all`.
    pub(crate) cancel_on_failure: bool,
}

/// Reads `workflow`.
pub(crate) fn workflow(check: &mut Check, node: &Node) -> Workflow {
    if node.as_list().is_some() {
        let error = CompileError::new(&node.span, "workflow config should be a hash");
        check.push(error.help("write `rules:` above the list"));
        return Workflow::default();
    }
    let Some(map) = check.hash(node, "workflow", &["rules", "name", "auto_cancel"]) else {
        return Workflow::default();
    };
    let name = check.text(map, "name", "workflow");
    if let (Some(node), true) =
        (map.get("name"), name.as_ref().is_some_and(|name| name.chars().count() > 255))
    {
        check.error(&node.span, "workflow name is too long (maximum is 255 characters)");
    }
    let cancel_on_failure =
        map.get("auto_cancel").and_then(|node| auto_cancel(check, node, "workflow:auto_cancel"));
    Workflow {
        name,
        rules: map.get("rules").map(|node| parse_rules(check, node, "workflow:rules", RulesOf::Workflow)),
        cancel_on_failure: cancel_on_failure.unwrap_or_default(),
    }
}

/// Reads `auto_cancel`: whether the first failure cancels everything else, if that is said. `on_new_commit` is about older
/// pipelines and says nothing here. <https://docs.gitlab.com/ci/yaml/#workflowauto_cancelon_job_failure>
pub(crate) fn auto_cancel(check: &mut Check, node: &Node, location: &str) -> Option<bool> {
    let map = check.hash(node, location, &["on_new_commit", "on_job_failure"])?;
    check.one_of(map, "on_new_commit", location, &["conservative", "interruptible", "none"]);
    check.one_of(map, "on_job_failure", location, &["none", "all"]).map(|when| when == "all")
}
