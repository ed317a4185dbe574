//! `spec:inputs`: what a file wants to be told, and the values that it gets. <https://docs.gitlab.com/ci/inputs/>

use std::sync::Arc;

use indexmap::IndexMap;

use super::super::error::CompileError;
use super::super::expression::Pattern;
use super::super::span::Span;
use super::super::yaml::{self, Entry, Map, Node, Value};

const MAX_OPTIONS: usize = 50;
const INPUT_KEYS: [&str; 6] = ["type", "default", "description", "options", "regex", "rules"];

/// Values of the inputs of one file, in the order of the declaration.
pub(super) type Values = IndexMap<Arc<str>, Node>;

/// Values that are given to a file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Given<'g> {
    Nothing,
    /// `inputs` of an `include` entry.
    Include(&'g Entry),
    /// Texts from the command line, for the root file.
    Texts(&'g IndexMap<String, String>),
}

impl Given<'_> {
    /// Given values are an error for a file that declares no inputs.
    pub(super) fn refuse(self, span: &Span) -> Result<(), CompileError> {
        let names: Vec<&str> = match self {
            Self::Nothing => Vec::new(),
            Self::Include(entry) => {
                entry.value.as_map().iter().flat_map(|map| map.iter()).map(|(key, _)| &**key).collect()
            }
            Self::Texts(texts) => texts.keys().map(String::as_str).collect(),
        };
        if names.is_empty() {
            return Ok(());
        }
        let message = format!("unknown input arguments: {}", names.join(", "));
        Err(CompileError::new(span, message)
            .help("the file declares no inputs: it has no header with `spec`"))
    }

    fn node(self, name: &str, kind: Kind, span: &Span) -> Result<Option<Node>, CompileError> {
        match self {
            Self::Nothing => Ok(None),
            Self::Include(entry) => Ok(entry.value.as_map().and_then(|map| map.get(name)).cloned()),
            Self::Texts(texts) => texts.get(name).map(|text| kind.read(name, text, span)).transpose(),
        }
    }

    fn names(self) -> Result<Vec<String>, CompileError> {
        match self {
            Self::Nothing => Ok(Vec::new()),
            Self::Texts(texts) => Ok(texts.keys().cloned().collect()),
            Self::Include(entry) => match entry.value.as_map() {
                Some(map) => Ok(map.iter().map(|(key, _)| key.to_string()).collect()),
                None => Err(CompileError::new(&entry.value.span, "include inputs should be a hash")),
            },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    String,
    Number,
    Boolean,
    Array,
}

/// The values for a file with this header. `span` is where the file is included.
pub(super) fn values(header: &Node, given: Given<'_>, span: &Span) -> Result<Values, CompileError> {
    let declared = declarations(header)?;
    let unknown: Vec<String> = given
        .names()?
        .into_iter()
        .filter(|name| declared.is_none_or(|map| map.entry(name).is_none()))
        .collect();
    if !unknown.is_empty() {
        return Err(CompileError::new(span, format!("unknown input arguments: {}", unknown.join(", "))));
    }
    let mut values = Values::new();
    for (name, entry) in declared.into_iter().flat_map(Map::iter) {
        values.insert(name.clone(), value(name, entry, given, span)?);
    }
    Ok(values)
}

/// `spec:inputs` of a header.
fn declarations(header: &Node) -> Result<Option<&Map>, CompileError> {
    let not_a_header = || {
        CompileError::new(
            &header.span,
            "a file of two documents must begin with a header that holds `spec` only",
        )
        .help("remove the line `---` between the documents if there is no header")
    };
    let map = header.as_map().ok_or_else(not_a_header)?;
    let unknown: Vec<&str> = map.iter().map(|(key, _)| &**key).filter(|key| *key != "spec").collect();
    if !unknown.is_empty() {
        return Err(CompileError::new(
            &header.span,
            format!("header config contains unknown keys: {}", unknown.join(", ")),
        )
        .help("a line `---` makes a header of what stands above it; a header holds `spec` only"));
    }
    let Some(spec) = map.get("spec") else { return Ok(None) };
    let spec =
        spec.as_map().ok_or_else(|| CompileError::new(&spec.span, "header:spec config should be a hash"))?;
    if let Some((key, entry)) = spec.iter().find(|(key, _)| &***key != "inputs" && &***key != "description") {
        return Err(CompileError::new(&entry.key_span, format!("header:spec:{key} is not supported yet")));
    }
    match spec.get("inputs") {
        None => Ok(None),
        Some(inputs) => match inputs.as_map() {
            Some(map) => Ok(Some(map)),
            None => Err(CompileError::new(&inputs.span, "header:spec:inputs config should be a hash")),
        },
    }
}

fn value(name: &str, entry: &Entry, given: Given<'_>, span: &Span) -> Result<Node, CompileError> {
    let empty = Map::default();
    let location = format!("header:spec:inputs:{name}");
    let spec = match (&entry.value.value, entry.value.as_map()) {
        (_, Some(map)) => map,
        (Value::Null, None) => &empty,
        _ => return Err(CompileError::new(&entry.value.span, format!("{location} config should be a hash"))),
    };
    let unknown: Vec<&str> =
        spec.iter().map(|(key, _)| &**key).filter(|key| !INPUT_KEYS.contains(key)).collect();
    if !unknown.is_empty() {
        let message = format!("{location} config contains unknown keys: {}", unknown.join(", "));
        return Err(CompileError::new(&entry.value.span, message));
    }
    if let Some(rules) = spec.entry("rules").filter(|rules| !rules.value.is_null()) {
        return Err(CompileError::new(&rules.key_span, format!("{location}:rules is not supported yet")));
    }
    let kind = Kind::parse(spec, &location)?;
    let wrong = |span: &Span, text: String| CompileError::new(span, format!("`{name}` input: {text}"));
    let (node, role) = match given.node(name, kind, span)? {
        Some(node) => (node, "provided"),
        None => match spec.entry("default") {
            Some(default) => (default.value.clone(), "default"),
            None => return Err(wrong(span, "required value has not been provided".to_owned())),
        },
    };
    if !kind.fits(&node) {
        return Err(wrong(&node.span, format!("{role} value is not {}", kind.article())));
    }
    allowed(spec, &node, kind, role).map_err(|text| wrong(&node.span, text))?;
    Ok(node)
}

/// Checks `options` and `regex`.
fn allowed(spec: &Map, node: &Node, kind: Kind, role: &str) -> Result<(), String> {
    let text = node.scalar_text().unwrap_or_default();
    if let Some(options) = spec.get("options") {
        let options = options.as_list().ok_or("options must be an array")?;
        if options.len() > MAX_OPTIONS {
            return Err(format!("cannot define more than {MAX_OPTIONS} options"));
        }
        if !options.iter().filter_map(Node::scalar_text).any(|option| option == text) {
            return Err(format!("`{text}` cannot be used because it is not in the list of allowed options"));
        }
    }
    if let Some(regex) = spec.get("regex") {
        if kind != Kind::String {
            return Err("RegEx validation can only be used with string inputs".to_owned());
        }
        let source = regex.as_text().ok_or("regex must be a string")?;
        let pattern = Pattern::parse(&format!("/{source}/"))
            .map_err(|error| format!("invalid regular expression: {error}"))?;
        if !pattern.is_match(&text) {
            return Err(format!("{role} value does not match required RegEx pattern"));
        }
    }
    Ok(())
}

impl Kind {
    fn parse(spec: &Map, location: &str) -> Result<Self, CompileError> {
        let Some(node) = spec.get("type") else { return Ok(Self::String) };
        match node.as_text() {
            Some("string") => Ok(Self::String),
            Some("number") => Ok(Self::Number),
            Some("boolean") => Ok(Self::Boolean),
            Some("array") => Ok(Self::Array),
            _ => Err(CompileError::new(
                &node.span,
                format!("{location} type should be one of: array, boolean, number, string"),
            )),
        }
    }

    fn fits(self, node: &Node) -> bool {
        match self {
            Self::String => matches!(node.value, Value::Text(_)),
            Self::Number => matches!(node.value, Value::Int(_) | Value::Float(_)),
            Self::Boolean => matches!(node.value, Value::Bool(_)),
            Self::Array => matches!(node.value, Value::List(_)),
        }
    }

    fn article(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Number => "a number",
            Self::Boolean => "a boolean",
            Self::Array => "an array",
        }
    }

    /// A text from the command line: as it is for strings, otherwise read as YAML.
    fn read(self, name: &str, text: &str, span: &Span) -> Result<Node, CompileError> {
        if self == Self::String {
            return Ok(Node::new(Value::Text(text.into()), span.clone()));
        }
        let content = yaml::parse("input", text).ok().and_then(|document| document.content);
        match content {
            Some(node) => Ok(Node::new(node.value, span.clone())),
            None => Err(CompileError::new(
                span,
                format!("`{name}` input: provided value is not {}", self.article()),
            )),
        }
    }
}
