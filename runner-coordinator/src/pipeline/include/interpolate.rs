//! `$[[ inputs.x | function ]]` in a file with a header. <https://docs.gitlab.com/ci/inputs/#define-input-parameters-with-specinputs>

use std::sync::{Arc, LazyLock};

use indexmap::IndexMap;
use regex::{Captures, Regex};

use super::super::error::CompileError;
use super::super::expand::Scope;
use super::super::span::Span;
use super::super::suggest;
use super::super::yaml::{Entry, MAX_DEPTH, Map, Node, Value};
use super::inputs;

#[expect(clippy::expect_used, reason = "the patterns are constants")]
static BLOCK: LazyLock<Regex> = LazyLock::new(|| {
    // An index belongs to the block, also where its bracket stands next to those of the block.
    Regex::new(r"(?s)\$\[\[(?:((?:\[[0-9]+\]|[^\[\]])*?)|(.*?))\]\]").expect("constant pattern")
});
#[expect(clippy::expect_used, reason = "the patterns are constants")]
static TRUNCATE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^truncate\(\s*([0-9]{1,9})\s*,\s*([0-9]{1,9})\s*\)$").expect("constant pattern")
});

#[expect(clippy::expect_used, reason = "the patterns are constants")]
static SPLIT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"^split\(\s*(?:'([^']+)'|"([^"]+)")\s*\)$"#).expect("constant pattern"));

/// Longest block, in bytes.
const MAX_BLOCK: usize = 1024;
/// Most functions in a block.
const MAX_FUNCTIONS: usize = 3;
/// All texts that are inserted into one file, in bytes.
const MAX_INSERTED: usize = 8 * 1024 * 1024;

/// What blocks are replaced by.
#[derive(Debug)]
pub(super) struct Values<'v> {
    pub(super) inputs: inputs::Values,
    /// What the file may know about itself.
    pub(super) component: Option<&'v Component>,
}

/// What a component is told of itself: `$[[ component.name ]]`. <https://docs.gitlab.com/ci/components/>
#[derive(Debug, Clone)]
pub(super) struct Component {
    pub(super) name: String,
    pub(super) sha: String,
    pub(super) version: String,
    pub(super) reference: String,
}

impl Component {
    fn get(&self, key: &str) -> Option<&str> {
        Some(match key {
            "name" => &self.name,
            "sha" => &self.sha,
            "version" => &self.version,
            "reference" => &self.reference,
            _ => return None,
        })
    }
}

/// Replaces every block in the keys and values of a file.
pub(super) fn interpolate(content: &Node, values: &Values<'_>, scope: &Scope) -> Result<Node, CompileError> {
    let mut interpolation = Interpolation { values, scope, inserted: 0 };
    let result = interpolation.node(content)?;
    if result.size().depth > MAX_DEPTH {
        return Err(CompileError::new(&content.span, "The parsed YAML is too big"));
    }
    Ok(result)
}

struct Interpolation<'i> {
    values: &'i Values<'i>,
    scope: &'i Scope,
    inserted: usize,
}

impl Interpolation<'_> {
    /// Trees of files are at most [`MAX_DEPTH`] deep.
    fn node(&mut self, node: &Node) -> Result<Node, CompileError> {
        match &node.value {
            Value::Text(text) if text.contains("$[[") => self.scalar(text, &node.span),
            Value::List(list) => {
                let items: Result<Vec<Node>, CompileError> =
                    list.items().iter().map(|item| self.node(item)).collect();
                Ok(Node::list(items?, node.span.clone()))
            }
            Value::Map(map) => {
                let mut entries = IndexMap::with_capacity(map.len());
                for (key, entry) in map.iter() {
                    let key = if key.contains("$[[") {
                        self.text(key, &entry.key_span)?.into()
                    } else {
                        key.clone()
                    };
                    let value = self.node(&entry.value)?;
                    entries.insert(key, Entry { key_span: entry.key_span.clone(), value });
                }
                Ok(Node::map(Map::new(entries), node.span.clone()))
            }
            Value::Reference(path) => {
                let path: Result<Vec<Arc<str>>, CompileError> =
                    path.iter().map(|key| self.text(key, &node.span).map(Arc::from)).collect();
                Ok(Node::new(Value::Reference(path?.into()), node.span.clone()))
            }
            _ => Ok(node.clone()),
        }
    }

    /// A block that is the whole scalar keeps the type of its value.
    fn scalar(&mut self, text: &str, span: &Span) -> Result<Node, CompileError> {
        let whole = BLOCK
            .captures(text.trim())
            .filter(|captures| captures.get(0).is_some_and(|found| found.as_str() == text.trim()));
        if let Some(block) = whole.as_ref().map(inside)
            && let Some(value) = self.block(block, span)?
        {
            return Ok(Node::new(value.value, span.clone()));
        }
        Ok(Node::new(Value::Text(self.text(text, span)?.into()), span.clone()))
    }

    fn text(&mut self, text: &str, span: &Span) -> Result<String, CompileError> {
        let mut failure = None;
        let replaced = BLOCK.replace_all(text, |captures: &Captures<'_>| {
            let whole = captures.get(0).map_or("", |found| found.as_str());
            if failure.is_some() {
                return String::new();
            }
            match self.block(inside(captures), span) {
                Ok(Some(node)) => as_text(&node),
                Ok(None) => whole.to_owned(),
                Err(error) => {
                    failure = Some(error);
                    String::new()
                }
            }
        });
        match failure {
            Some(error) => Err(error),
            None => Ok(replaced.into_owned()),
        }
    }

    /// The value of one block; `None` for `matrix.X`, which is replaced where needs are resolved.
    fn block(&mut self, block: &str, span: &Span) -> Result<Option<Node>, CompileError> {
        if block.len() > MAX_BLOCK {
            return Err(CompileError::new(span, "maximum interpolation expression size has been exceeded"));
        }
        // Shells know `$[[ ]]`, too.
        if block.trim().chars().nth(1).is_none() {
            return Ok(None);
        }
        let mut parts = block.split('|').map(str::trim);
        let access = parts.next().unwrap_or_default();
        let (context, name) = access.split_once('.').unwrap_or((access, ""));
        let name = name.trim();
        let unknown = |key: &str| CompileError::new(span, format!("unknown interpolation key: `{key}`"));
        let of_component;
        let value = match context.trim() {
            "inputs" => self.input(name, span)?,
            "component" => {
                let component = self.values.component.ok_or_else(|| {
                    unknown("component").help(
                        "only a file that is included with include:component and says `spec: {component: […]}` knows it",
                    )
                })?;
                let text = component.get(name).ok_or_else(|| unknown(name))?;
                of_component = Node::new(Value::Text(text.into()), span.clone());
                &of_component
            }
            // Replaced where needs are resolved, and in steps when they run.
            "matrix" | "job" | "needs" => return Ok(None),
            other => return Err(unknown(other)),
        };
        let functions: Vec<&str> = parts.collect();
        if functions.len() > MAX_FUNCTIONS {
            let message = format!("too many functions in interpolation block: maximum is {MAX_FUNCTIONS}");
            return Err(CompileError::new(span, message));
        }
        let mut value = value.clone();
        for function in functions {
            value = self.apply(function, &value, span)?;
        }
        self.inserted = self.inserted.saturating_add(value.as_text().map_or(0, str::len));
        if self.inserted > MAX_INSERTED {
            return Err(CompileError::new(span, "the inputs make the file too big"));
        }
        Ok(Some(value))
    }

    /// An input, or a part of one: `servers[0].host`.
    fn input(&self, path: &str, span: &Span) -> Result<&Node, CompileError> {
        if let Some(value) = self.values.inputs.get(path) {
            return Ok(value);
        }
        let (name, mut rest) = path.split_at(path.find(['[', '.']).unwrap_or(path.len()));
        let Some(mut value) = self.values.inputs.get(name) else {
            let error = CompileError::new(span, format!("unknown interpolation key: `{name}`"));
            let near = suggest::closest(name, self.values.inputs.keys().map(|key| &**key));
            return Err(match near {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error,
            });
        };
        while !rest.is_empty() {
            let (part, after) = rest.split_at(rest[1..].find(['[', '.']).map_or(rest.len(), |at| at + 1));
            let found = match part.strip_prefix('[') {
                Some(index) => index
                    .strip_suffix(']')
                    .and_then(|index| index.parse::<usize>().ok())
                    .and_then(|index| value.as_list()?.get(index)),
                None => value.as_map().and_then(|map| map.get(part.trim_start_matches('.'))),
            };
            value = found.ok_or_else(|| {
                CompileError::new(span, format!("unknown interpolation key: `{path}`"))
                    .help(format!("there is no `{part}` in what stands in front of it"))
            })?;
            rest = after;
        }
        Ok(value)
    }

    fn apply(&self, function: &str, value: &Node, span: &Span) -> Result<Node, CompileError> {
        let Some(text) = value.as_text() else {
            let message = format!("invalid input type for `{function}`: a string is expected");
            return Err(CompileError::new(span, message));
        };
        let result = |text: String| Ok(Node::new(Value::Text(text.into()), span.clone()));
        if function == "expand_vars" {
            return result(self.scope.expand(text));
        }
        if function == "posix_escape" {
            return result(posix_escape(text));
        }
        if let Some(arguments) = TRUNCATE.captures(function) {
            let number =
                |group| arguments.get(group).and_then(|found| found.as_str().parse().ok()).unwrap_or(0);
            return result(text.chars().skip(number(1)).take(number(2)).collect());
        }
        if let Some(separator) =
            SPLIT.captures(function).and_then(|found| found.get(1).or_else(|| found.get(2)))
        {
            let parts = text.split(separator.as_str()).map(str::trim).filter(|part| !part.is_empty());
            let items = parts.map(|part| Node::new(Value::Text(part.into()), span.clone())).collect();
            return Ok(Node::list(items, span.clone()));
        }
        let message = format!(
            "no function matching `{function}`: check that the function name, arguments, and types are correct"
        );
        let name = function.split('(').next().unwrap_or(function);
        let help = match suggest::closest(name, ["expand_vars", "truncate", "posix_escape", "split"]) {
            Some(near) if near != name => format!("did you mean `{near}`?"),
            _ => "there are expand_vars, truncate(OFFSET,LENGTH), posix_escape and split('SEPARATOR')"
                .to_owned(),
        };
        Err(CompileError::new(span, message).help(help))
    }
}

/// What stands in a block.
fn inside<'t>(captures: &Captures<'t>) -> &'t str {
    captures.get(1).or_else(|| captures.get(2)).map_or("", |found| found.as_str())
}

/// A value in the middle of a text: lists in the form of JSON.
fn as_text(node: &Node) -> String {
    match &node.value {
        Value::List(list) => {
            let items: Vec<String> = list
                .items()
                .iter()
                .map(|item| match &item.value {
                    Value::Text(text) => format!("{:?}", &**text),
                    _ => as_text(item),
                })
                .collect();
            format!("[{}]", items.join(", "))
        }
        _ => node.scalar_text().unwrap_or_default(),
    }
}

/// Every character that could mean something to a shell gets a backslash.
fn posix_escape(text: &str) -> String {
    if text.is_empty() {
        return "''".to_owned();
    }
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => escaped.push_str("'\n'"),
            c if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ',' | ':' | '+' | '/' | '@') => {
                escaped.push(c);
            }
            c => {
                escaped.push('\\');
                escaped.push(c);
            }
        }
    }
    escaped
}
