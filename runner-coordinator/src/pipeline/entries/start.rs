//! Whether and when a job starts: `when`, `start_in`, `only`, `except`. <https://docs.gitlab.com/ci/yaml/#when>

use std::time::Duration;

use super::super::check::Check;
use super::super::error::CompileError;
use super::super::job::When;
use super::super::yaml::Map;
use super::job::Surroundings;
use super::policy::{Policy, policy};

/// Longest `start_in`.
const MAX_DELAY: Duration = Duration::from_secs(7 * 24 * 3600);

/// `when` of the job, if it is given.
pub(super) fn when(check: &mut Check, map: &Map, location: &str) -> Option<When> {
    let allowed = ["on_success", "on_failure", "always", "manual", "delayed"];
    if let Some(node) = map.get("when").filter(|node| node.as_text() == Some("never")) {
        let message = format!("{location} when should be one of: {}", allowed.join(", "));
        check.push(
            CompileError::new(&node.span, message)
                .help("`never` belongs to `rules`; a job whose name begins with a dot is switched off"),
        );
        return None;
    }
    Some(match check.one_of(map, "when", location, &allowed)?.as_str() {
        "on_failure" => When::OnFailure,
        "always" => When::Always,
        "manual" => When::Manual,
        "delayed" => When::Delayed,
        _ => When::OnSuccess,
    })
}

/// `start_in`, which belongs to `when: delayed`.
pub(super) fn start_in(
    check: &mut Check,
    map: &Map,
    location: &str,
    when: Option<When>,
    has_rules: bool,
) -> Option<Duration> {
    let delayed = when == Some(When::Delayed);
    let entry = map.entry("start_in").filter(|entry| !entry.value.is_null());
    match (entry, delayed) {
        (Some(entry), _) if has_rules => {
            check.error(
                &entry.key_span,
                format!("{location} config key may not be used with `rules`: start_in"),
            );
            None
        }
        (Some(entry), false) => {
            check.push(
                CompileError::new(&entry.key_span, format!("{location} start in must be blank"))
                    .help("start_in belongs to `when: delayed`"),
            );
            None
        }
        (Some(_), true) => check.duration(map, "start_in", location, MAX_DELAY),
        (None, true) => {
            if let Some(entry) = map.entry("when").filter(|_| !has_rules) {
                check.error(&entry.key_span, format!("{location} start in should be a duration"));
            }
            None
        }
        (None, false) => None,
    }
}

/// `only` and `except`, with the default that holds where nothing else is said.
pub(super) fn policies(
    check: &mut Check,
    map: &Map,
    location: &str,
    has_rules: bool,
    around: &Surroundings,
) -> (Option<Policy>, Option<Policy>) {
    if has_rules {
        let used: Vec<&str> = ["only", "except"].into_iter().filter(|key| map.get(key).is_some()).collect();
        if let Some(entry) = used.first().and_then(|key| map.entry(key)) {
            let message = format!("{location} config key may not be used with `rules`: {}", used.join(", "));
            check.error(&entry.key_span, message);
        }
        return (None, None);
    }
    let mut only = map.get("only").and_then(|node| policy(check, node, location, "only"));
    let except = map.get("except").and_then(|node| policy(check, node, location, "except"));
    match &mut only {
        Some(only) if only.refs.is_none() => only.refs = Policy::default_only().refs,
        Some(_) => {}
        None if !around.has_workflow_rules => only = Some(Policy::default_only()),
        None => {}
    }
    (only, except)
}
