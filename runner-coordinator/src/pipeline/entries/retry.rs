//! `retry` and `allow_failure`. <https://docs.gitlab.com/ci/yaml/#retry>

use super::super::check::Check;
use super::super::error::CompileError;
use super::super::job::{AllowFailure, Retry};
use super::super::suggest::closest_of;
use super::super::yaml::{Map, Node, Value};

/// Failure reasons that can be named in `retry:when`.
const REASONS: [&str; 50] = [
    "always",
    "unknown_failure",
    "script_failure",
    "api_failure",
    "stuck_or_timeout_failure",
    "stuck_pending_with_matching_runners",
    "stuck_pending_no_matching_runners",
    "no_updates_running",
    "no_updates_canceling",
    "runner_system_failure",
    "runner_configuration_error",
    "runner_external_dependency_failure",
    "runner_interrupted",
    "runner_unsupported",
    "stale_schedule",
    "job_execution_timeout",
    "server_timeout_running",
    "server_timeout_canceling",
    "archived_failure",
    "unmet_prerequisites",
    "scheduler_failure",
    "data_integrity_failure",
    "image_pull_failure",
    "missing_dependency_failure",
    "trace_size_exceeded",
    "forward_deployment_failure",
    "user_blocked",
    "project_deleted",
    "insufficient_bridge_permissions",
    "insufficient_upstream_permissions",
    "downstream_bridge_project_not_found",
    "upstream_bridge_project_not_found",
    "invalid_bridge_trigger",
    "bridge_pipeline_is_child_pipeline",
    "downstream_pipeline_creation_failed",
    "secrets_provider_not_found",
    "reached_max_descendant_pipelines_depth",
    "reached_max_pipeline_hierarchy_size",
    "reached_downstream_pipeline_trigger_rate_limit",
    "ip_restriction_failure",
    "protected_environment_failure",
    "builds_disabled",
    "environment_creation_rejected",
    "deployment_rejected",
    "failed_outdated_deployment_job",
    "ci_quota_exceeded",
    "no_matching_runner",
    "pipeline_loop_detected",
    "job_token_expired",
    "runner_provisioning_failure",
];

/// Reads `retry`: a number, or a hash.
pub(crate) fn retry(check: &mut Check, node: &Node, location: &str) -> Option<Retry> {
    match &node.value {
        Value::Int(count) => max(check, node, *count, location).map(|max| Retry { max, ..Retry::default() }),
        Value::Map(_) => {
            let map = check.hash(node, location, &["max", "when", "exit_codes"])?;
            let max = match map.get("max") {
                None => 0,
                Some(node) => match node.value {
                    Value::Int(count) => max(check, node, count, location)?,
                    _ => {
                        check.error(&node.span, format!("{location} max is not a number"));
                        return None;
                    }
                },
            };
            let exit_codes = exit_codes(check, map, location).unwrap_or_default();
            Some(Retry { max, when: reasons(check, map, location), exit_codes })
        }
        _ => {
            let message = format!("{location} config has to be either an integer or a hash");
            check.push(
                CompileError::new(&node.span, message)
                    .help("write 0, 1 or 2, or a hash with `max` and `when`"),
            );
            None
        }
    }
}

/// Reads `allow_failure`: true, false, or a hash with `exit_codes`.
pub(crate) fn allow_failure(check: &mut Check, node: &Node, location: &str) -> Option<AllowFailure> {
    match &node.value {
        Value::Bool(true) => Some(AllowFailure::Yes),
        Value::Bool(false) => Some(AllowFailure::No),
        Value::Map(_) => {
            let map = check.hash(node, location, &["exit_codes"])?;
            exit_codes(check, map, location).map(AllowFailure::ExitCodes)
        }
        _ => {
            let message = format!("{location} config should be a hash or a boolean value");
            let help = "write true or false, without quotes, or {exit_codes: [1]}";
            check.push(CompileError::new(&node.span, message).help(help));
            None
        }
    }
}

fn max(check: &mut Check, node: &Node, count: i128, location: &str) -> Option<u8> {
    match u8::try_from(count).ok().filter(|count| *count <= 2) {
        Some(count) => Some(count),
        None => {
            let bound = if count < 0 { "greater than or equal to 0" } else { "less than or equal to 2" };
            check.error(&node.span, format!("{location} max must be {bound}"));
            None
        }
    }
}

/// An empty list means all reasons.
fn reasons(check: &mut Check, map: &Map, location: &str) -> Vec<String> {
    let Some(reasons) = check.text_or_texts(map, "when", location) else { return Vec::new() };
    let unknown: Vec<&str> =
        reasons.iter().map(String::as_str).filter(|reason| !REASONS.contains(reason)).collect();
    if let (false, Some(node)) = (unknown.is_empty(), map.get("when")) {
        let message = format!("{location} when contains unknown values: {}", unknown.join(", "));
        let help = closest_of(
            &unknown,
            &REASONS,
            "these are reasons of failures, such as script_failure or runner_system_failure",
        );
        check.push(CompileError::new(&node.span, message).help(help));
    }
    reasons
}

fn exit_codes(check: &mut Check, map: &Map, location: &str) -> Option<Vec<i32>> {
    let node = map.get("exit_codes")?;
    let code = |node: &Node| match node.value {
        Value::Int(code) => i32::try_from(code).ok(),
        _ => None,
    };
    let codes: Option<Vec<i32>> = match node.as_list() {
        Some(items) => items.iter().map(code).collect(),
        None => code(node).map(|code| vec![code]),
    };
    if codes.is_none() {
        check
            .error(&node.span, format!("{location} exit codes should be an array of integers or an integer"));
    }
    codes
}
