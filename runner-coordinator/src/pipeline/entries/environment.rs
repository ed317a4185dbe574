//! `environment`. <https://docs.gitlab.com/ci/yaml/#environment>

use super::super::check::{Check, in_quotes};
use super::super::duration;
use super::super::error::CompileError;
use super::super::job::JobEnvironment;
use super::super::yaml::{Map, Node};

const KEYS: [&str; 7] = ["name", "url", "action", "on_stop", "auto_stop_in", "kubernetes", "deployment_tier"];
const ACTIONS: [&str; 5] = ["start", "stop", "prepare", "verify", "access"];
const TIERS: [&str; 5] = ["production", "staging", "testing", "development", "other"];

/// Reads `environment`: a name, or a hash.
pub(crate) fn environment(check: &mut Check, node: &Node, location: &str) -> Option<JobEnvironment> {
    if let Some(name) = node.as_text() {
        return Some(JobEnvironment {
            name: name.to_owned(),
            action: "start".to_owned(),
            ..JobEnvironment::default()
        });
    }
    if node.as_map().is_none() {
        let error = CompileError::new(&node.span, format!("{location} config should be a hash or a string"));
        check.push(in_quotes(error, node));
        return None;
    }
    let map = check.hash(node, location, &KEYS)?;
    let Some(name) = check.text(map, "name", location) else {
        if map.get("name").is_none() {
            check.error(&node.span, format!("{location} name can't be blank"));
        }
        return None;
    };
    let url = check.text(map, "url", location);
    if let (Some(node), true) = (map.get("url"), url.as_ref().is_some_and(|url| url.chars().count() > 255)) {
        check.error(&node.span, format!("{location} url is too long (maximum is 255 characters)"));
    }
    auto_stop_in(check, map, location);
    Some(JobEnvironment {
        name,
        url,
        action: check.one_of(map, "action", location, &ACTIONS).unwrap_or_else(|| "start".to_owned()),
        tier: check.one_of(map, "deployment_tier", location, &TIERS),
        on_stop: check.text(map, "on_stop", location),
    })
}

/// The only duration that may hold variables.
fn auto_stop_in(check: &mut Check, map: &Map, location: &str) {
    let Some(text) = check.text(map, "auto_stop_in", location) else { return };
    let valid = text == "never" || text.contains('$') || duration::parse(&text).is_some();
    if let (false, Some(node)) = (valid, map.get("auto_stop_in")) {
        check.error(&node.span, format!("{location} auto stop in should be a duration"));
    }
}
