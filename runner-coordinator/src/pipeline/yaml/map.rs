//! Building a mapping entry by entry: duplicate keys and merge keys.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::super::span::Span;
use super::node::{Entry, Map, Node, Value};

/// A mapping under construction.
///
/// `<<` is applied where it stands: it overrides keys above it and is overridden by keys below it. That is what GitLab's
/// library does; the YAML 1.1 type description says otherwise.
#[derive(Debug, Default)]
pub(super) struct MapBuilder {
    entries: IndexMap<Arc<str>, Entry>,
    /// Keys that were written out, not merged in.
    written: HashMap<Arc<str>, Span>,
}

/// A key that was written before; its earlier value is lost.
#[derive(Debug)]
pub(super) struct Duplicate {
    pub(super) key: Arc<str>,
    pub(super) first: Span,
    pub(super) second: Span,
}

impl MapBuilder {
    pub(super) fn insert(&mut self, key: Arc<str>, key_span: Span, value: Node) -> Option<Duplicate> {
        let earlier = self.written.insert(key.clone(), key_span.clone());
        self.put(key.clone(), Entry { key_span: key_span.clone(), value });
        earlier.map(|first| Duplicate { key, first, second: key_span })
    }

    /// Applies `<<: value`; `false` if the value is not a mapping or a list of mappings.
    pub(super) fn merge(&mut self, value: &Node, in_place_list: bool) -> bool {
        match &value.value {
            Value::Map(map) => {
                self.merge_map(map);
                true
            }
            Value::List(list) if in_place_list => {
                let mut merged = IndexMap::new();
                // The earlier mapping wins, so the last one goes in first.
                for item in list.items().iter().rev() {
                    let Some(map) = item.as_map() else { return false };
                    for (key, entry) in map.iter() {
                        merged.insert(key.clone(), entry.clone());
                    }
                }
                for (key, entry) in merged {
                    self.put(key, entry);
                }
                true
            }
            _ => false,
        }
    }

    pub(super) fn finish(self) -> Map {
        Map::new(self.entries)
    }

    fn merge_map(&mut self, map: &Map) {
        for (key, entry) in map.iter() {
            self.put(key.clone(), entry.clone());
        }
    }

    /// The last value wins at the position of the first.
    fn put(&mut self, key: Arc<str>, entry: Entry) {
        self.entries.insert(key, entry);
    }
}
