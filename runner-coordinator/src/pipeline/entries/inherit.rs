//! `inherit`. <https://docs.gitlab.com/ci/yaml/#inherit>

use super::super::check::{Check, strings};
use super::super::error::CompileError;
use super::super::suggest::closest_of;
use super::super::yaml::{Node, Value};
use super::default::DEFAULT_KEYS;

/// Which names are inherited.
#[derive(Debug, Clone, Default)]
pub(crate) enum Inherit {
    #[default]
    All,
    Nothing,
    Only(Vec<String>),
}

impl Inherit {
    pub(crate) fn allows(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Nothing => false,
            Self::Only(names) => names.iter().any(|known| known == name),
        }
    }
}

/// Reads `inherit`: what of `default`, and which variables of the top level.
pub(crate) fn inherit(check: &mut Check, node: &Node, location: &str) -> (Inherit, Inherit) {
    let Some(map) = check.hash(node, location, &["default", "variables"]) else { return <_>::default() };
    let mut part = |key: &str| {
        map.get(key).map(|node| names(check, node, &format!("{location}:{key}"))).unwrap_or_default()
    };
    let (default, variables) = (part("default"), part("variables"));
    if let (Inherit::Only(names), Some(node)) = (&default, map.get("default")) {
        let unknown: Vec<&str> =
            names.iter().map(String::as_str).filter(|name| !DEFAULT_KEYS.contains(name)).collect();
        if !unknown.is_empty() {
            let message =
                format!("{location}:default config contains unknown values: {}", unknown.join(", "));
            let fallback = format!("it knows {}", DEFAULT_KEYS.join(", "));
            check.push(CompileError::new(&node.span, message).help(closest_of(
                &unknown,
                &DEFAULT_KEYS,
                &fallback,
            )));
        }
    }
    (default, variables)
}

fn names(check: &mut Check, node: &Node, location: &str) -> Inherit {
    match (&node.value, strings(node)) {
        (Value::Bool(true), _) => Inherit::All,
        (Value::Bool(false), _) => Inherit::Nothing,
        (_, Some(names)) => Inherit::Only(names),
        _ => {
            check.error(
                &node.span,
                format!("{location} config should be a boolean value or an array of strings"),
            );
            Inherit::All
        }
    }
}
