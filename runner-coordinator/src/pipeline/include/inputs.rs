//! `spec:inputs`: what a file wants to be told, and the values that it gets. <https://docs.gitlab.com/ci/inputs/>

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::super::error::CompileError;
use super::super::expand::Scope;
use super::super::expression::{Expression, Lookup, Pattern};
use super::super::span::Span;
use super::super::suggest;
use super::super::yaml::{self, Entry, Map, Node, Value};

const MAX_OPTIONS: usize = 50;
const SPEC_KEYS: [&str; 4] = ["inputs", "include", "component", "description"];
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

/// What a header says.
#[derive(Debug, Default)]
pub(super) struct Spec<'h> {
    /// `include`: files with more inputs.
    pub(super) include: Option<&'h Node>,
    inputs: Option<&'h Map>,
    /// Whether the file wants to know about itself as a component.
    component: bool,
}

impl Spec<'_> {
    /// Whether `$[[ component.… ]]` may be used.
    pub(super) fn knows_component(&self) -> bool {
        self.component
    }
}

/// The values for a file with this header. `external` are inputs that other files declare for it, `span` is where the file is
/// included.
pub(super) fn values(
    spec: &Spec<'_>,
    external: &Map,
    given: Given<'_>,
    scope: &Scope,
    span: &Span,
) -> Result<Values, CompileError> {
    let declared = declared(spec, external);
    let declared = declared.as_ref();
    let unknown: Vec<String> = given
        .names()?
        .into_iter()
        .filter(|name| declared.is_none_or(|map| map.entry(name).is_none()))
        .collect();
    if !unknown.is_empty() {
        let error = CompileError::new(span, format!("unknown input arguments: {}", unknown.join(", ")));
        let known: Vec<&str> = declared.into_iter().flat_map(Map::iter).map(|(name, _)| &**name).collect();
        let unknown: Vec<&str> = unknown.iter().map(String::as_str).collect();
        let fallback = format!("the file knows these inputs: {}", known.join(", "));
        return Err(error.help(suggest::closest_of(&unknown, &known, &fallback)));
    }
    // Inputs with rules depend on those without.
    let has_rules = |entry: &Entry| entry.value.as_map().is_some_and(|map| map.get("rules").is_some());
    let mut values = Values::new();
    for with_rules in [false, true] {
        for (name, entry) in declared.into_iter().flat_map(Map::iter) {
            if has_rules(entry) == with_rules {
                let value = value(name, entry, given, &Known { scope, values: &values }, span)?;
                values.insert(name.clone(), value);
            }
        }
    }
    Ok(values)
}

/// Inputs of other files with those of the header over them.
fn declared(spec: &Spec<'_>, external: &Map) -> Option<Map> {
    let Some(own) = spec.inputs else { return (!external.is_empty()).then(|| external.clone()) };
    let mut entries = external.entries().clone();
    entries.extend(own.iter().map(|(name, entry)| (name.clone(), entry.clone())));
    Some(Map::new(entries))
}

/// The inputs that a file declares for others: it holds `inputs` and nothing else.
pub(super) fn of_external_file(content: &Node) -> Result<Map, CompileError> {
    let Some(map) = content.as_map() else {
        return Err(CompileError::new(
            &content.span,
            "a file for `spec:include` should be a hash with `inputs`",
        ));
    };
    if let Some((key, entry)) = map.iter().find(|(key, _)| &***key != "inputs") {
        let message = format!("header:spec:include config contains unknown keys: {key}");
        return Err(
            CompileError::new(&entry.key_span, message).help("a file for `spec:include` holds `inputs` only")
        );
    }
    match map.get("inputs") {
        None => Ok(Map::default()),
        Some(inputs) => inputs
            .as_map()
            .cloned()
            .ok_or_else(|| CompileError::new(&inputs.span, "header:spec:inputs config should be a hash")),
    }
}

/// What the rules of inputs can refer to: variables, and inputs without rules.
struct Known<'k> {
    scope: &'k Scope,
    values: &'k Values,
}

/// The texts of [`Known`].
struct Texts<'k> {
    scope: &'k Scope,
    inputs: HashMap<&'k str, String>,
}

impl Lookup for Texts<'_> {
    fn variable(&self, name: &str) -> Option<&str> {
        self.scope.variable(name)
    }

    fn input(&self, name: &str) -> Option<&str> {
        self.inputs.get(name).map(String::as_str)
    }
}

/// Reads a header.
pub(super) fn spec(header: &Node) -> Result<Spec<'_>, CompileError> {
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
    let Some(spec) = map.get("spec") else { return Ok(Spec::default()) };
    let spec =
        spec.as_map().ok_or_else(|| CompileError::new(&spec.span, "header:spec config should be a hash"))?;
    if let Some((key, entry)) = spec.iter().find(|(key, _)| !SPEC_KEYS.contains(&&***key)) {
        let message = format!("header:spec config contains unknown keys: {key}");
        let help =
            suggest::closest_of(&[key], &SPEC_KEYS, "it knows inputs, include, component and description");
        return Err(CompileError::new(&entry.key_span, message).help(help));
    }
    let component = match spec.get("component") {
        None => false,
        Some(node) => {
            let known =
                |node: &Node| matches!(node.as_text(), Some("name" | "sha" | "version" | "reference"));
            if !node.as_list().is_some_and(|items| items.iter().all(known)) {
                let message =
                    "header:spec:component config should be an array of: name, sha, version, reference";
                return Err(CompileError::new(&node.span, message));
            }
            true
        }
    };
    let inputs =
        match spec.get("inputs") {
            None => None,
            Some(inputs) => Some(inputs.as_map().ok_or_else(|| {
                CompileError::new(&inputs.span, "header:spec:inputs config should be a hash")
            })?),
        };
    Ok(Spec { include: spec.get("include"), inputs, component })
}

fn value(
    name: &str,
    entry: &Entry,
    given: Given<'_>,
    known: &Known<'_>,
    span: &Span,
) -> Result<Node, CompileError> {
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
        let fallback = format!("it knows {}", INPUT_KEYS.join(", "));
        let place = unknown
            .first()
            .and_then(|key| spec.entry(key))
            .map_or(&entry.value.span, |entry| &entry.key_span);
        return Err(CompileError::new(place, message).help(suggest::closest_of(
            &unknown,
            &INPUT_KEYS,
            &fallback,
        )));
    }
    let rule = matching_rule(spec, known, &location)?;
    let kind = Kind::parse(spec, &location)?;
    let wrong = |span: &Span, text: String| CompileError::new(span, format!("`{name}` input: {text}"));
    let (node, role) = match given.node(name, kind, span)? {
        Some(node) => (node, "provided"),
        None => match rule.and_then(|rule| rule.entry("default")).or_else(|| spec.entry("default")) {
            Some(default) => (default.value.clone(), "default"),
            None => return Err(wrong(span, "required value has not been provided".to_owned())),
        },
    };
    // Whatever the type: an optional input without a value.
    if role == "default" && node.is_null() {
        return Ok(node);
    }
    if !kind.fits(&node) {
        return Err(wrong(&node.span, format!("{role} value is not {}", kind.article())));
    }
    if node.is_null() {
        return Ok(node);
    }
    let options = rule.and_then(|rule| rule.get("options")).or_else(|| spec.get("options"));
    allowed(spec, options, &node, kind, role).map_err(|text| wrong(&node.span, text))?;
    Ok(node)
}

/// The first of an input's rules that holds: it says which options and which default there are.
fn matching_rule<'s>(
    spec: &'s Map,
    known: &Known<'_>,
    location: &str,
) -> Result<Option<&'s Map>, CompileError> {
    let Some(rules) = spec.get("rules") else { return Ok(None) };
    let location = format!("{location}:rules");
    let wrong = |node: &Node, text: &str| CompileError::new(&node.span, format!("{location} {text}"));
    let items = rules.as_list().ok_or_else(|| wrong(rules, "config should be an array of hashes"))?;
    let inputs =
        known.values.iter().map(|(name, node)| (&**name, node.scalar_text().unwrap_or_default())).collect();
    let texts = Texts { scope: known.scope, inputs };
    let mut first = None;
    for item in items {
        let map = item.as_map().ok_or_else(|| wrong(item, "config should be an array of hashes"))?;
        if let Some((key, _)) = map.iter().find(|(key, _)| !["if", "options", "default"].contains(&&***key)) {
            return Err(wrong(item, &format!("config contains unknown keys: {key}")));
        }
        let holds = match map.get("if") {
            None => true,
            Some(node) => {
                let text = node.as_text().ok_or_else(|| wrong(node, "if invalid expression syntax"))?;
                let expression = Expression::parse_with_inputs(text)
                    .map_err(|reason| wrong(node, "if invalid expression syntax").help(reason))?;
                expression.holds(&texts)
            }
        };
        if holds && first.is_none() {
            first = Some(map);
        }
    }
    Ok(first)
}

/// Checks `options` and `regex`.
fn allowed(spec: &Map, options: Option<&Node>, node: &Node, kind: Kind, role: &str) -> Result<(), String> {
    let text = node.scalar_text().unwrap_or_default();
    if let Some(options) = options {
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
            // Nothing is a text, too.
            Self::String => matches!(node.value, Value::Text(_) | Value::Null),
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
