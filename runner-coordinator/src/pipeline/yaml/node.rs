//! The tree. Lists and maps are shared, so that aliases, `extends` and `!reference` copy nothing; each knows how large
//! it would be when written out, so that a small file cannot grow without limit.

use std::sync::Arc;

use indexmap::IndexMap;

use super::super::span::Span;
use super::scalar;

/// Deepest nesting of lists and maps.
pub(crate) const MAX_DEPTH: u32 = 100;

/// A value and where it is written.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) span: Span,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(Arc<str>),
    List(Arc<List>),
    Map(Arc<Map>),
    /// `!reference [a, b]`, not yet resolved.
    Reference(Arc<[Arc<str>]>),
}

/// Items of a list.
#[derive(Debug, Default)]
pub(crate) struct List {
    items: Vec<Node>,
    size: Size,
}

/// Entries of a mapping in the order of their first appearance.
#[derive(Debug, Default, Clone)]
pub(crate) struct Map {
    entries: IndexMap<Arc<str>, Entry>,
    size: Size,
}

/// The value of a key and where the key is written.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

/// Extent of a tree with all aliases written out.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Size {
    pub(crate) nodes: u64,
    pub(crate) depth: u32,
    /// Whether there is a `!reference` inside.
    pub(crate) references: bool,
}

impl Node {
    pub(crate) fn new(value: Value, span: Span) -> Self {
        Self { value, span }
    }

    pub(crate) fn list(items: Vec<Self>, span: Span) -> Self {
        Self::new(Value::List(Arc::new(List::new(items))), span)
    }

    pub(crate) fn map(map: Map, span: Span) -> Self {
        Self::new(Value::Map(Arc::new(map)), span)
    }

    pub(crate) fn size(&self) -> Size {
        match &self.value {
            Value::List(list) => list.size,
            Value::Map(map) => map.size,
            Value::Reference(_) => Size { nodes: 1, depth: 0, references: true },
            _ => Size { nodes: 1, depth: 0, references: false },
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    pub(crate) fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(crate) fn as_list(&self) -> Option<&[Self]> {
        match &self.value {
            Value::List(list) => Some(&list.items),
            _ => None,
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The tree as JSON; `None` with a reference in it, or a number that JSON does not know.
    pub(crate) fn to_json(&self) -> Option<serde_json::Value> {
        Some(match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(flag) => (*flag).into(),
            Value::Int(number) => match i64::try_from(*number) {
                Ok(number) => number.into(),
                Err(_) => serde_json::Number::from_f64(*number as f64)?.into(),
            },
            Value::Float(number) => serde_json::Number::from_f64(*number)?.into(),
            Value::Text(text) => text.to_string().into(),
            Value::List(list) => list.items.iter().map(Self::to_json).collect::<Option<Vec<_>>>()?.into(),
            Value::Map(map) => {
                let pairs = map.iter().map(|(key, entry)| Some((key.to_string(), entry.value.to_json()?)));
                pairs.collect::<Option<serde_json::Map<_, _>>>()?.into()
            }
            Value::Reference(_) => return None,
        })
    }

    /// A tree of JSON, all of it at one place.
    pub(crate) fn from_json(value: &serde_json::Value, span: &Span) -> Self {
        let node = |value| Self::new(value, span.clone());
        match value {
            serde_json::Value::Null => node(Value::Null),
            serde_json::Value::Bool(flag) => node(Value::Bool(*flag)),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(number) => node(Value::Int(number.into())),
                None => node(Value::Float(number.as_f64().unwrap_or_default())),
            },
            serde_json::Value::String(text) => node(Value::Text(text.as_str().into())),
            serde_json::Value::Array(items) => {
                Self::list(items.iter().map(|item| Self::from_json(item, span)).collect(), span.clone())
            }
            serde_json::Value::Object(map) => {
                let entries = map.iter().map(|(key, value)| {
                    let value = Self::from_json(value, span);
                    (Arc::from(key.as_str()), Entry { key_span: span.clone(), value })
                });
                Self::map(Map::new(entries.collect()), span.clone())
            }
        }
    }

    /// Text of a string, number or boolean: the form in which variables get it.
    pub(crate) fn scalar_text(&self) -> Option<String> {
        match &self.value {
            Value::Text(text) => Some(text.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Int(number) => Some(number.to_string()),
            Value::Float(number) => Some(scalar::float_text(*number)),
            Value::Null | Value::List(_) | Value::Map(_) | Value::Reference(_) => None,
        }
    }
}

impl List {
    pub(crate) fn new(items: Vec<Node>) -> Self {
        let size = Size::around(items.iter().map(Node::size));
        Self { items, size }
    }

    pub(crate) fn items(&self) -> &[Node] {
        &self.items
    }
}

impl Map {
    pub(crate) fn new(entries: IndexMap<Arc<str>, Entry>) -> Self {
        let size = Size::around(entries.values().map(|entry| entry.value.size()));
        Self { entries, size }
    }

    pub(crate) fn size(&self) -> Size {
        self.size
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// The value of a key; a null counts as absent.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entries.get(key).map(|entry| &entry.value).filter(|node| !node.is_null())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Entry)> {
        self.entries.iter()
    }

    pub(crate) fn entries(&self) -> &IndexMap<Arc<str>, Entry> {
        &self.entries
    }
}

impl Size {
    fn around(children: impl Iterator<Item = Self>) -> Self {
        children.fold(Self { nodes: 1, depth: 1, references: false }, |sum, child| Self {
            nodes: sum.nodes.saturating_add(child.nodes),
            depth: sum.depth.max(child.depth.saturating_add(1)),
            references: sum.references || child.references,
        })
    }
}
