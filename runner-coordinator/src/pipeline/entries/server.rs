//! Keywords whose meaning lies on a server: checked here, so that mistakes are found, and then noted or refused.

use super::super::check::Check;
use super::super::error::CompileError;
use super::super::yaml::{Map, Node, Value};

/// Checks `id_tokens`; `true` if there is any. <https://docs.gitlab.com/ci/yaml/#id_tokens>
pub(crate) fn id_tokens(check: &mut Check, node: &Node, location: &str) -> bool {
    let Some(map) = node.as_map() else {
        check.error(&node.span, format!("{location} config should be a hash"));
        return false;
    };
    for (name, entry) in map.iter() {
        let location = format!("{location}:{name}");
        let Some(token) = check.hash(&entry.value, &location, &["aud"]) else { continue };
        if token.get("aud").is_none() {
            check.error(&entry.key_span, format!("{location} config missing required keys: aud"));
        }
        check.text_or_texts(token, "aud", &location);
    }
    !map.is_empty()
}

/// Checks `release`. <https://docs.gitlab.com/ci/yaml/#release>
pub(crate) fn release(check: &mut Check, node: &Node, location: &str) {
    const KEYS: [&str; 8] =
        ["tag_name", "tag_message", "name", "description", "ref", "released_at", "milestones", "assets"];
    let Some(map) = check.hash(node, location, &KEYS) else { return };
    for key in ["tag_name", "description"] {
        if map.get(key).is_none() {
            check.error(&node.span, format!("{location} {} can't be blank", key.replace('_', " ")));
        }
    }
    for key in ["tag_name", "tag_message", "name", "description", "ref", "released_at"] {
        check.text(map, key, location);
    }
}

/// Checks `pages` and returns the folder to publish; `None`: the job publishes nothing.
/// <https://docs.gitlab.com/ci/yaml/#pages>
pub(crate) fn pages(check: &mut Check, name: &str, map: &Map, location: &str) -> Option<String> {
    let publish = check.text(map, "publish", location);
    let node = map.get("pages");
    let is_pages = match node.map(|node| &node.value) {
        None => name == "pages",
        Some(Value::Bool(flag)) => *flag,
        Some(_) => true,
    };
    if let (false, Some(entry)) = (is_pages, map.entry("publish").filter(|entry| !entry.value.is_null())) {
        check.error(&entry.key_span, format!("{location} publish can only be used within a `pages` job"));
    }
    let nested = node.filter(|node| !matches!(node.value, Value::Bool(_))).and_then(|node| {
        let location = format!("{location}:pages");
        let map = check.hash(node, &location, &["publish", "path_prefix", "expire_in"])?;
        check.text(map, "publish", &location)
    });
    is_pages.then(|| nested.or(publish).unwrap_or_else(|| "public".to_owned()))
}

/// Keywords of a job that cannot be honoured here. They count only if the job is part of the pipeline.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unsupported {
    /// Without these the job would be another job.
    pub(crate) essential: Vec<CompileError>,
    /// Without these the job can run, if its user says so.
    pub(crate) optional: Vec<CompileError>,
}

impl Unsupported {
    /// The keywords whose presence alone is too much.
    pub(crate) fn of_job(map: &Map, name: &str) -> Self {
        let refuse = |keys: &[(&str, &str)]| {
            let given = keys.iter().filter_map(|(key, help)| {
                let entry = map.entry(key).filter(|entry| !entry.value.is_null())?;
                let is_empty = entry.value.as_map().is_some_and(Map::is_empty);
                (!is_empty).then(|| not_supported(&entry.key_span, name, key).help(*help))
            });
            given.collect()
        };
        Self {
            essential: refuse(&[("run", "write the steps as `script`")]),
            optional: refuse(&[
                ("secrets", "give the value as a variable on the command line instead"),
                ("inputs", "use `variables` instead"),
            ]),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &CompileError> {
        self.essential.iter().chain(&self.optional)
    }
}

/// A keyword that is valid, but cannot be honoured here.
pub(crate) fn not_supported(span: &super::super::span::Span, job: &str, key: &str) -> CompileError {
    CompileError::new(span, format!("jobs:{job}:{key} is not supported yet"))
}
