//! Keywords that a job may inherit from `default`. <https://docs.gitlab.com/ci/yaml/#default>

use std::time::Duration;

use super::super::check::{Check, flatten, not_strings};
use super::super::job::{Artifacts, Cache, IdToken, Image, Retry, Service};
use super::super::yaml::{Map, Node};
use super::artifacts::artifacts;
use super::cache::caches;
use super::image::{image, services};
use super::inherit::Inherit;
use super::retry::retry;
use super::server::id_tokens;

/// Keys of `default`.
pub(crate) const DEFAULT_KEYS: [&str; 13] = [
    "before_script",
    "after_script",
    "artifacts",
    "cache",
    "hooks",
    "image",
    "interruptible",
    "id_tokens",
    "identity",
    "retry",
    "services",
    "tags",
    "timeout",
];
/// The ones that may still be written at the top level.
pub(crate) const TOP_LEVEL_KEYS: [&str; 5] = ["image", "services", "cache", "before_script", "after_script"];

/// Longest `timeout`: a month.
const MAX_TIMEOUT: Duration = Duration::from_secs(2_629_746);
const MAX_TAGS: usize = 50;

/// What is specified, by a job or by `default`; an empty list is specified, a null is not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inheritable {
    pub(crate) before_script: Option<Vec<String>>,
    pub(crate) after_script: Option<Vec<String>>,
    pub(crate) artifacts: Option<Artifacts>,
    pub(crate) cache: Option<Vec<Cache>>,
    pub(crate) hooks: Option<Vec<String>>,
    pub(crate) image: Option<Image>,
    pub(crate) interruptible: Option<bool>,
    pub(crate) id_tokens: Option<Vec<IdToken>>,
    pub(crate) identity: Option<String>,
    pub(crate) retry: Option<Retry>,
    pub(crate) services: Option<Vec<Service>>,
    pub(crate) tags: Option<Vec<String>>,
    pub(crate) timeout: Option<Duration>,
}

impl Inheritable {
    /// Reads the keywords out of a job, `default` or the top level; `location` is that of the map, empty at the top.
    pub(crate) fn parse(check: &mut Check, map: &Map, location: &str) -> Self {
        let at = |key: &str| if location.is_empty() { key.to_owned() } else { format!("{location}:{key}") };
        Self {
            before_script: map
                .get("before_script")
                .and_then(|node| check.commands(node, &at("before_script"))),
            after_script: map.get("after_script").and_then(|node| check.commands(node, &at("after_script"))),
            artifacts: map.get("artifacts").and_then(|node| artifacts(check, node, &at("artifacts"))),
            cache: map.get("cache").and_then(|node| caches(check, node, &at("cache"))),
            hooks: map.get("hooks").and_then(|node| hooks(check, node, &at("hooks"))),
            image: map.get("image").and_then(|node| image(check, node, &at("image"))),
            interruptible: check.flag(map, "interruptible", location),
            id_tokens: map.get("id_tokens").map(|node| id_tokens(check, node, &at("id_tokens"))),
            identity: check.text(map, "identity", location),
            retry: map.get("retry").and_then(|node| retry(check, node, &at("retry"))),
            services: map.get("services").and_then(|node| services(check, node, &at("services"))),
            tags: map.get("tags").and_then(|node| tags(check, node, &at("tags"))),
            timeout: check.duration(map, "timeout", location, MAX_TIMEOUT),
        }
    }

    /// Only the keywords that are also known at the top level, from there.
    pub(crate) fn parse_top_level(check: &mut Check, root: &Map) -> Self {
        let entries = TOP_LEVEL_KEYS
            .iter()
            .filter_map(|key| root.entries().get_key_value(*key))
            .map(|(key, entry)| (key.clone(), entry.clone()))
            .collect();
        Self::parse(check, &Map::new(entries), "")
    }

    /// Fills in what is not specified here. Nothing is merged: a keyword is inherited as a whole or not at all.
    pub(crate) fn inherit(self, from: &Self, inherit: &Inherit) -> Self {
        fn pick<T: Clone>(own: Option<T>, from: &Option<T>, inherit: &Inherit, key: &str) -> Option<T> {
            own.or_else(|| if inherit.allows(key) { from.clone() } else { None })
        }
        Self {
            before_script: pick(self.before_script, &from.before_script, inherit, "before_script"),
            after_script: pick(self.after_script, &from.after_script, inherit, "after_script"),
            artifacts: pick(self.artifacts, &from.artifacts, inherit, "artifacts"),
            cache: pick(self.cache, &from.cache, inherit, "cache"),
            hooks: pick(self.hooks, &from.hooks, inherit, "hooks"),
            image: pick(self.image, &from.image, inherit, "image"),
            interruptible: pick(self.interruptible, &from.interruptible, inherit, "interruptible"),
            id_tokens: pick(self.id_tokens, &from.id_tokens, inherit, "id_tokens"),
            identity: pick(self.identity, &from.identity, inherit, "identity"),
            retry: pick(self.retry, &from.retry, inherit, "retry"),
            services: pick(self.services, &from.services, inherit, "services"),
            tags: pick(self.tags, &from.tags, inherit, "tags"),
            timeout: pick(self.timeout, &from.timeout, inherit, "timeout"),
        }
    }
}

fn hooks(check: &mut Check, node: &Node, location: &str) -> Option<Vec<String>> {
    let map = check.hash(node, location, &["pre_get_sources_script"])?;
    match map.get("pre_get_sources_script") {
        Some(script) => check.commands(script, &format!("{location}:pre_get_sources_script")),
        None => Some(Vec::new()),
    }
}

/// `tags`, nested lists included.
fn tags(check: &mut Check, node: &Node, location: &str) -> Option<Vec<String>> {
    let tags: Option<Vec<String>> = flatten(node)
        .and_then(|items| items.into_iter().map(|item| item.as_text().map(str::to_owned)).collect());
    let Some(tags) = tags else {
        check.push(not_strings(node, format!("{location} config should be an array of strings")));
        return None;
    };
    if node.as_list().is_some_and(|items| items.iter().any(|item| item.as_list().is_some())) {
        check.warn(&node.span, format!("{location} holds a list in a list, which GitLab may refuse"));
    }
    if tags.len() > MAX_TAGS {
        check.error(&node.span, format!("{location} config must be less than the limit of {MAX_TAGS} tags"));
    }
    Some(tags)
}
