//! `cache`. <https://docs.gitlab.com/ci/yaml/#cache>

use super::super::check::{Check, flatten};
use super::super::error::CompileError;
use super::super::job::{Cache, CacheKey};
use super::super::yaml::{Map, Node};
use super::artifacts::keep_when;

const KEYS: [&str; 7] = ["key", "untracked", "paths", "when", "policy", "unprotect", "fallback_keys"];
const MAX_CACHES: usize = 4;
const MAX_FALLBACK_KEYS: usize = 5;

/// Reads `cache`: one hash, or a list of them. Lists in it are taken for their items: pipelines that GitLab runs compose
/// their caches of several `!reference` to lists.
pub(crate) fn caches(check: &mut Check, node: &Node, location: &str) -> Option<Vec<Cache>> {
    if node.as_map().is_some() {
        return cache(check, node, location).map(|cache| vec![cache]);
    }
    let Some(items) = flatten(node) else {
        let mut error = CompileError::new(
            &node.span,
            format!("{location} config should be a hash or an array of hashes"),
        );
        if let Some(path) = node.as_text() {
            error = error.help(format!("write {{paths: [{path}]}}"));
        }
        check.push(error);
        return None;
    };
    if items.len() > MAX_CACHES {
        check
            .error(&node.span, format!("{location}s config no more than {MAX_CACHES} caches can be created"));
        return None;
    }
    Some(items.into_iter().filter_map(|item| cache(check, item, location)).collect())
}

fn cache(check: &mut Check, node: &Node, location: &str) -> Option<Cache> {
    let map = check.hash(node, location, &KEYS)?;
    let key = match map.get("key") {
        Some(node) => key(check, node, &format!("{location}:key"))?,
        None => CacheKey::Text("default".to_owned()),
    };
    let fallback_keys = check.texts(map, "fallback_keys", location).unwrap_or_default();
    if fallback_keys.len() > MAX_FALLBACK_KEYS {
        let message =
            format!("{location}:fallback_keys config has too many entries (maximum is {MAX_FALLBACK_KEYS})");
        check.error(&node.span, message);
    }
    Some(Cache {
        key,
        paths: check.texts(map, "paths", location).unwrap_or_default(),
        untracked: check.flag(map, "untracked", location).unwrap_or_default(),
        policy: policy(check, map, location),
        when: keep_when(check, map, location),
        fallback_keys,
        unprotect: check.flag(map, "unprotect", location).unwrap_or_default(),
    })
}

fn policy(check: &mut Check, map: &Map, location: &str) -> String {
    let default = "pull-push".to_owned();
    let Some(text) = check.text(map, "policy", location) else { return default };
    if !matches!(text.as_str(), "pull-push" | "pull" | "push") && !text.contains('$') {
        if let Some(node) = map.get("policy") {
            check.error(
                &node.span,
                format!("{location} policy should be a variable or one of: pull-push, push, pull"),
            );
        }
        return default;
    }
    text
}

fn key(check: &mut Check, node: &Node, location: &str) -> Option<CacheKey> {
    if let Some(text) = node.scalar_text() {
        return key_text(check, node, text, location);
    }
    if node.as_map().is_none() {
        check.error(&node.span, format!("{location} should be a hash, a string or a symbol"));
        return None;
    }
    let map = check.hash(node, location, &["files", "files_commits", "prefix"])?;
    let (name, commits) = match (map.get("files"), map.get("files_commits")) {
        (Some(_), None) => ("files", false),
        (None, Some(_)) => ("files_commits", true),
        (Some(_), Some(_)) => {
            check.error(
                &node.span,
                format!("{location} config must use exactly one of these keys: files, files_commits"),
            );
            return None;
        }
        (None, None) => {
            check.error(&node.span, format!("{location} config missing required keys: files"));
            return None;
        }
    };
    let value = map.get(name)?;
    let files = check.strings(value, &format!("{location}:{name} config"))?;
    if files.is_empty() {
        check.error(&value.span, format!("{location}:{name} config requires at least 1 item"));
        return None;
    }
    Some(CacheKey::Files { files, commits, prefix: check.text(map, "prefix", location) })
}

fn key_text(check: &mut Check, node: &Node, text: String, location: &str) -> Option<CacheKey> {
    let decoded = text.to_ascii_lowercase().replace("%2e", ".");
    if text.contains('/') || text.to_ascii_lowercase().contains("%2f") {
        let error =
            CompileError::new(&node.span, format!("{location} config cannot contain the \"/\" character"));
        check.push(error.help("write - instead, and $CI_COMMIT_REF_SLUG for the name of a branch"));
        return None;
    }
    if matches!(decoded.as_str(), "." | "..") {
        check.error(&node.span, format!("{location} config cannot be \".\" or \"..\""));
        return None;
    }
    Some(CacheKey::Text(text))
}
