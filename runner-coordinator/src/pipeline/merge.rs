//! The one way in which configurations are merged: includes with each other, and jobs with what they extend.

use std::sync::Arc;

use super::error::CompileError;
use super::span::Span;
use super::yaml::{Entry, Map, Node, Value};

/// Most nodes of the whole configuration after merging.
const MAX_NODES: u64 = 1_000_000;

/// `over` merged over `base`: hashes at every depth, everything else replaced. Keys keep the order of `base`, new ones
/// follow.
pub(crate) fn deep_merge(base: &Map, over: &Map) -> Map {
    let mut entries = base.entries().clone();
    for (key, entry) in over.iter() {
        let merged = match entries.get(key) {
            Some(below) => merge_entry(below, entry),
            None => entry.clone(),
        };
        entries.insert(key.clone(), merged);
    }
    Map::new(entries)
}

/// Refuses a configuration that grew too large to work with.
pub(crate) fn check_size(map: &Map, span: &Span) -> Result<(), CompileError> {
    if map.size().nodes > MAX_NODES {
        return Err(CompileError::new(span, "the configuration is too big after merging").help(
            "includes, `extends`, aliases and references multiply what they name; use them less often",
        ));
    }
    Ok(())
}

fn merge_entry(below: &Entry, above: &Entry) -> Entry {
    let value = match (&below.value.value, &above.value.value) {
        (Value::Map(below), Value::Map(over)) => {
            // Merging with nothing shares instead of copying.
            let merged = if over.is_empty() { below.clone() } else { Arc::new(deep_merge(below, over)) };
            Node::new(Value::Map(merged), above.value.span.clone())
        }
        _ => above.value.clone(),
    };
    Entry { key_span: above.key_span.clone(), value }
}
