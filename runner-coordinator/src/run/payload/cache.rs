//! `cache`: entries with the keys as the server makes them.

use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use super::super::action::Host;
use crate::pipeline::{Cache, CacheKey};

/// The entries that keep something.
pub(super) fn caches(caches: &[Cache], protected: bool, host: &dyn Host) -> Value {
    let kept = caches.iter().enumerate().filter(|(_, cache)| !cache.paths.is_empty() || cache.untracked);
    kept.map(|(position, cache)| entry(position, cache, protected, host)).collect()
}

fn entry(position: usize, cache: &Cache, protected: bool, host: &dyn Host) -> Value {
    // Keeps what jobs of protected refs wrote apart from what everybody may write.
    let suffix = if protected && !cache.unprotect { "protected" } else { "non_protected" };
    let fallback_keys: Vec<String> =
        cache.fallback_keys.iter().map(|key| format!("{key}-{suffix}")).collect();
    json!({
        "key": format!("{}-{suffix}", key(position, &cache.key, host)),
        "untracked": cache.untracked,
        "paths": cache.paths,
        "policy": cache.policy,
        "when": cache.when,
        "fallback_keys": fallback_keys,
    })
}

fn key(position: usize, key: &CacheKey, host: &dyn Host) -> String {
    match key {
        CacheKey::Text(text) => text.clone(),
        CacheKey::Files { files, commits, prefix } => {
            let hash = hash(host.object_ids(files, *commits));
            let prefix = prefix.clone().unwrap_or_else(|| default_prefix(position, files));
            format!("{prefix}-{}", hash.as_deref().unwrap_or("default"))
        }
    }
}

/// Position of the entry and the names of its files up to the first dot.
fn default_prefix(position: usize, files: &[String]) -> String {
    let names = files.iter().map(|file| file.split('.').next().unwrap_or_default());
    names.fold(position.to_string(), |prefix, name| format!("{prefix}_{name}"))
}

fn hash(mut object_ids: Vec<String>) -> Option<String> {
    object_ids.sort_unstable();
    object_ids.dedup();
    let digest = (!object_ids.is_empty()).then(|| Sha1::digest(object_ids.join("-").as_bytes()))?;
    Some(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}
