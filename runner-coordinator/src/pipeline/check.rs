//! Collecting mistakes while entries are read, in GitLab's words: `location attribute text`.

use std::time::Duration;

use indexmap::IndexMap;

use super::duration;
use super::error::{Code, CompileError, MAX_ERRORS};
use super::span::Span;
use super::suggest;
use super::yaml::{Map, Node};

/// Deepest nesting of lists that are flattened.
const MAX_FLATTEN: usize = 10;

/// Mistakes and notes found so far.
#[derive(Debug, Default)]
pub(crate) struct Check {
    pub(crate) errors: Vec<CompileError>,
    pub(crate) notes: Vec<String>,
    /// What is allowed and probably not meant.
    pub(crate) warnings: Vec<CompileError>,
    /// Keywords without effect here, and how many jobs use them.
    pub(crate) ignored: IndexMap<String, usize>,
    /// Most `needs` of one job, where it is not GitLab's default.
    pub(crate) needs_limit: Option<usize>,
}

impl Check {
    pub(crate) fn push(&mut self, error: CompileError) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(error);
        }
    }

    pub(crate) fn error(&mut self, span: &Span, message: impl Into<String>) {
        self.push(CompileError::new(span, message));
    }

    pub(crate) fn warn(&mut self, span: &Span, message: impl Into<String>) {
        self.push_warning(CompileError::new(span, message));
    }

    pub(crate) fn push_warning(&mut self, warning: CompileError) {
        if self.warnings.len() < MAX_ERRORS {
            self.warnings.push(warning);
        }
    }

    /// Remembers that one more job uses a keyword that has no effect here.
    pub(crate) fn ignore(&mut self, keyword: impl Into<String>) {
        *self.ignored.entry(keyword.into()).or_insert(0) += 1;
    }

    /// A hash whose keys are all known.
    pub(crate) fn hash<'n>(&mut self, node: &'n Node, location: &str, keys: &[&str]) -> Option<&'n Map> {
        let Some(map) = node.as_map() else {
            let error = CompileError::new(&node.span, format!("{location} config should be a hash"));
            self.push(error.help(expected_hash(node, keys)));
            return None;
        };
        self.known_keys(map, location, keys);
        Some(map)
    }

    pub(crate) fn known_keys(&mut self, map: &Map, location: &str, keys: &[&str]) {
        let unknown: Vec<&str> =
            map.iter().map(|(key, _)| &**key).filter(|key| !keys.contains(key)).collect();
        let Some(first) = unknown.first().and_then(|key| map.entry(key)) else { return };
        let mut error = CompileError::new(
            &first.key_span,
            format!("{location} config contains unknown keys: {}", unknown.join(", ")),
        )
        .code(Code::UnknownKey);
        let near = unknown.iter().find_map(|key| suggest::closest(key, keys.iter().copied()));
        if let Some(near) = near {
            error = error.help(format!("did you mean `{near}`?"));
        }
        self.push(error);
    }

    /// An attribute that is a string.
    pub(crate) fn text(&mut self, map: &Map, key: &str, location: &str) -> Option<String> {
        let node = map.get(key)?;
        let text = node.as_text();
        if text.is_none() {
            let message = format!("{location} {} should be a string", spaced(key));
            self.push(in_quotes(CompileError::new(&node.span, message), node));
        }
        text.map(str::to_owned)
    }

    /// An attribute that is `true` or `false`.
    pub(crate) fn flag(&mut self, map: &Map, key: &str, location: &str) -> Option<bool> {
        let node = map.get(key)?;
        match node.value {
            super::yaml::Value::Bool(flag) => Some(flag),
            _ => {
                let message = format!("{location} {} should be a boolean value", spaced(key));
                let error = CompileError::new(&node.span, message);
                self.push(error.help("write true or false, without quotes"));
                None
            }
        }
    }

    /// An attribute that is one of a few words.
    pub(crate) fn one_of(
        &mut self,
        map: &Map,
        key: &str,
        location: &str,
        allowed: &[&str],
    ) -> Option<String> {
        let node = map.get(key)?;
        match node.as_text().filter(|text| allowed.contains(text)) {
            Some(text) => Some(text.to_owned()),
            None => {
                let message = format!("{location} {} should be one of: {}", spaced(key), allowed.join(", "));
                let error = CompileError::new(&node.span, message);
                let near = node.as_text().and_then(|text| suggest::closest(text, allowed.iter().copied()));
                self.push(match near {
                    Some(near) => error.help(format!("did you mean `{near}`?")),
                    None => error,
                });
                None
            }
        }
    }

    /// An attribute that is a list of strings.
    pub(crate) fn texts(&mut self, map: &Map, key: &str, location: &str) -> Option<Vec<String>> {
        let node = map.get(key)?;
        self.strings(node, &format!("{location} {}", spaced(key)))
    }

    /// A list of strings; `what` says in a message what it is.
    pub(crate) fn strings(&mut self, node: &Node, what: &str) -> Option<Vec<String>> {
        let texts = strings(node);
        if texts.is_none() {
            self.push(not_strings(node, format!("{what} should be an array of strings")));
        }
        texts
    }

    /// An attribute that is a string or a list of strings.
    pub(crate) fn text_or_texts(&mut self, map: &Map, key: &str, location: &str) -> Option<Vec<String>> {
        let node = map.get(key)?;
        let texts = node.as_text().map(|text| vec![text.to_owned()]).or_else(|| strings(node));
        if texts.is_none() {
            let message = format!("{location} {} should be an array of strings or a string", spaced(key));
            self.push(not_strings(node, message));
        }
        texts
    }

    /// An attribute that is a duration in words, not longer than a limit.
    pub(crate) fn duration(
        &mut self,
        map: &Map,
        key: &str,
        location: &str,
        limit: Duration,
    ) -> Option<Duration> {
        let node = map.get(key)?;
        match node.as_text().and_then(duration::parse) {
            None => {
                let error = format!("{location} {} should be a duration", spaced(key));
                let help = match node.scalar_text() {
                    Some(number) if node.as_text().is_none() => {
                        format!("a duration is a text with a unit: {number} seconds, or \"{number}\"")
                    }
                    _ => "for example: 1h 30m, \"3600\", 2 days".to_owned(),
                };
                self.push(CompileError::new(&node.span, error).help(help));
                None
            }
            Some(duration) if duration > limit => {
                self.attribute(node, key, location, "should not exceed the limit");
                None
            }
            Some(duration) => Some(duration),
        }
    }

    /// Commands: a string or a nested list of strings, flattened.
    pub(crate) fn commands(&mut self, node: &Node, location: &str) -> Option<Vec<String>> {
        let mut commands = Vec::new();
        match flatten_commands(node, 0, &mut commands) {
            Ok(()) => Some(commands),
            Err(wrong) => {
                let message = format!(
                    "{location} config should be a string or a nested array of strings up to 10 levels deep"
                );
                let mut error = CompileError::new(&wrong.span, message);
                if let Some(map) = wrong.as_map() {
                    error = error.help(not_a_command(map, wrong.span == node.span));
                } else if !matches!(wrong.value, super::yaml::Value::List(_)) {
                    error = error.help("put it in quotes to make a string of it");
                }
                self.push(error);
                None
            }
        }
    }

    fn attribute(&mut self, node: &Node, key: &str, location: &str, text: &str) {
        self.error(&node.span, format!("{location} {} {text}", spaced(key)));
    }
}

/// What to write where a command is a hash.
fn not_a_command(map: &Map, whole: bool) -> String {
    const HOW: &str = "put quotes around the whole command, or write it as a block with |";
    match map.iter().next() {
        Some(_) if whole => "write a list of commands, each with a dash".to_owned(),
        Some((_, entry)) if entry.value.is_null() && entry.key_span == entry.value.span => {
            format!("`{{` begins a hash; {HOW}")
        }
        Some((key, _)) => format!("`{key}: ` makes a hash of this line; {HOW}"),
        None => HOW.to_owned(),
    }
}

/// What to write where something else stands than a hash.
fn expected_hash(node: &Node, keys: &[&str]) -> String {
    let is_item =
        |item: &Node| item.as_map().is_some_and(|map| map.iter().any(|(key, _)| keys.contains(&&**key)));
    if node.as_list().is_some_and(|items| items.iter().any(is_item)) {
        return "remove the dash: this is no list".to_owned();
    }
    match keys {
        [only] => format!("write `{only}:` below it"),
        [first @ .., last] if first.len() < 12 => format!("its keywords are {} and {last}", first.join(", ")),
        _ => "write its keywords below it".to_owned(),
    }
}

/// Numbers and the like become strings by quotes.
pub(crate) fn in_quotes(error: CompileError, node: &Node) -> CompileError {
    match node.scalar_text() {
        Some(text) if node.as_text().is_none() => error.help(format!("put it in quotes: \"{text}\"")),
        _ => error,
    }
}

/// The mistake of something that is no list of strings, at the first item that is none.
pub(crate) fn not_strings(node: &Node, message: String) -> CompileError {
    let Some(items) = node.as_list() else {
        let error = CompileError::new(&node.span, message);
        return match node.scalar_text() {
            Some(text) => error.help(format!("write a list: [{text}]")),
            None => error.help("write a list, each item with a dash"),
        };
    };
    match items.iter().find(|item| item.as_text().is_none()) {
        Some(item) if item.as_map().is_some() => CompileError::new(&item.span, message)
            .help("`: ` makes a hash of this item; put quotes around it"),
        Some(item) if item.as_list().is_some() => {
            CompileError::new(&item.span, message).help("a list in this list is not flattened")
        }
        Some(item) => in_quotes(CompileError::new(&item.span, message), item),
        None => CompileError::new(&node.span, message),
    }
}

/// All items of a list, if each is a string.
pub(crate) fn strings(node: &Node) -> Option<Vec<String>> {
    node.as_list()?.iter().map(|item| item.as_text().map(str::to_owned)).collect()
}

/// The items of a list with the items of lists in it in their place, nulls left out. `None`: not a list, or nested too
/// deeply.
pub(crate) fn flatten(node: &Node) -> Option<Vec<&Node>> {
    fn collect<'n>(node: &'n Node, level: usize, into: &mut Vec<&'n Node>) -> Option<()> {
        match node.as_list() {
            Some(_) if level >= MAX_FLATTEN => None,
            Some(items) => items.iter().try_for_each(|item| collect(item, level + 1, into)),
            None if node.is_null() => Some(()),
            None => {
                into.push(node);
                Some(())
            }
        }
    }
    let mut items = Vec::new();
    node.as_list()?;
    collect(node, 0, &mut items)?;
    Some(items)
}

/// An attribute in a message: `expire_in` reads `expire in`.
pub(crate) fn spaced(key: &str) -> String {
    key.replace('_', " ")
}

fn flatten_commands<'n>(node: &'n Node, level: usize, into: &mut Vec<String>) -> Result<(), &'n Node> {
    if let Some(text) = node.as_text() {
        into.push(text.to_owned());
        return Ok(());
    }
    match node.as_list() {
        Some(items) if level < MAX_FLATTEN => {
            items.iter().try_for_each(|item| flatten_commands(item, level + 1, into))
        }
        _ => Err(node),
    }
}
