//! From parser events to trees.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, StrInput, Tag};

use super::super::error::CompileError;
use super::super::span::Span;
use super::map::{Duplicate, MapBuilder};
use super::node::{MAX_DEPTH, Node, Value};
use super::scalar::{self, Refused};

/// Most nodes of one file, aliases written out. About what fits into GitLab's limit of 2 MiB, generously rounded.
const MAX_NODES: u64 = 250_000;
/// Longest file.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// What one file holds.
#[derive(Debug)]
pub(crate) struct Document {
    /// The header with `spec`, when the file has two documents.
    pub(crate) header: Option<Node>,
    /// The configuration; `None` when the file holds nothing.
    pub(crate) content: Option<Node>,
    /// Things worth telling: keys written twice.
    pub(crate) notes: Vec<String>,
}

/// Parses the text of a file.
///
/// Fails at the first mistake. Needs stack in proportion to nothing: nesting is limited to [`MAX_DEPTH`].
pub(crate) fn parse(file: &str, text: &str) -> Result<Document, CompileError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder { file: Arc::from(file), text, ..Builder::default() };
    if text.len() > MAX_BYTES {
        return Err(builder.too_big(&builder.start()));
    }
    builder.run()?;
    builder.into_document()
}

#[derive(Debug, Default)]
struct Builder<'t> {
    file: Arc<str>,
    text: &'t str,
    frames: Vec<Frame>,
    anchors: HashMap<usize, Node>,
    documents: Vec<Node>,
    nodes: u64,
    duplicates: Vec<Duplicate>,
}

/// An open list or mapping.
#[derive(Debug)]
enum Frame {
    List { items: Vec<Node>, anchor: usize, reference: bool, span: Span },
    Map { builder: MapBuilder, anchor: usize, key: Option<(Arc<str>, Span)>, span: Span },
}

impl Builder<'_> {
    fn run(&mut self) -> Result<(), CompileError> {
        let text = self.text;
        let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| self.scan_error(&error))?;
            let span = self.span(&span.start);
            self.event(event, span)?;
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), CompileError> {
        match event {
            Event::DocumentStart(_) => {
                self.anchors.clear();
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let node = scalar_node(&text, style, tag.as_deref(), span)?;
                self.finish_node(node, anchor, false)
            }
            Event::Alias(id) => match self.anchors.get(&id) {
                Some(node) => {
                    let node = node.clone();
                    self.finish_node(node, 0, true)
                }
                None => Err(CompileError::new(&span, format!("Unknown alias: {}", self.alias_name(&span)))),
            },
            Event::SequenceStart(anchor, tag) => {
                let reference = collection_tag(tag.as_deref(), "seq", true, &span)?;
                self.open(Frame::List { items: Vec::new(), anchor, reference, span })
            }
            Event::MappingStart(anchor, tag) => {
                collection_tag(tag.as_deref(), "map", false, &span)?;
                self.open(Frame::Map { builder: MapBuilder::default(), anchor, key: None, span })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn open(&mut self, frame: Frame) -> Result<(), CompileError> {
        let span = match &frame {
            Frame::List { span, .. } | Frame::Map { span, .. } => span.clone(),
        };
        self.frames.push(frame);
        if self.frames.len() > MAX_DEPTH as usize { Err(self.too_big(&span)) } else { Ok(()) }
    }

    fn close(&mut self) -> Result<(), CompileError> {
        match self.frames.pop() {
            Some(Frame::List { items, anchor, reference: true, span }) => {
                let node = reference_node(&items, span)?;
                self.finish_node(node, anchor, false)
            }
            Some(Frame::List { items, anchor, reference: false, span }) => {
                self.finish_node(Node::list(items, span), anchor, false)
            }
            Some(Frame::Map { builder, anchor, span, .. }) => {
                self.finish_node(Node::map(builder.finish(), span), anchor, false)
            }
            None => Ok(()),
        }
    }

    /// Puts a complete node into the list or mapping that is open, or ends the document with it.
    fn finish_node(&mut self, node: Node, anchor: usize, alias: bool) -> Result<(), CompileError> {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let size = node.size();
        // Children were counted when they were finished; only an alias brings uncounted ones.
        self.nodes = self.nodes.saturating_add(if alias { size.nodes } else { 1 });
        if self.nodes > MAX_NODES || self.frames.len() as u64 + u64::from(size.depth) > u64::from(MAX_DEPTH) {
            return Err(self.too_big(&node.span));
        }
        match self.frames.last_mut() {
            None => self.documents.push(node),
            Some(Frame::List { items, .. }) => items.push(node),
            Some(Frame::Map { builder, key, .. }) => match key.take() {
                None => *key = Some(key_text(&node)?),
                Some((key, span)) if &*key == "<<" => {
                    if !builder.merge(&node, !alias) {
                        return Err(CompileError::new(
                            &span,
                            "merge key `<<` needs a hash, an alias of a hash, or a list of them",
                        ));
                    }
                }
                Some((key, span)) => {
                    let node =
                        if node.is_null() && !alias { Node::new(Value::Null, span.clone()) } else { node };
                    self.duplicates.extend(builder.insert(key, span, node));
                }
            },
        }
        Ok(())
    }

    fn into_document(self) -> Result<Document, CompileError> {
        let notes = self
            .duplicates
            .iter()
            .map(|Duplicate { key, first, second }| {
                format!(
                    "{second}: key `{key}` is written twice, first in line {}: the last one wins",
                    first.line
                )
            })
            .collect();
        let mut documents = self.documents.into_iter();
        match (documents.next(), documents.next(), documents.next()) {
            (content, None, _) => Ok(Document { header: None, content, notes }),
            (header, content, None) => Ok(Document { header, content, notes }),
            (_, _, Some(third)) => Err(CompileError::new(
                &third.span,
                "a configuration file holds one document, or a header with `spec` and one document",
            )),
        }
    }

    fn span(&self, marker: &Marker) -> Span {
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Span {
            file: self.file.clone(),
            line: number(marker.line()).max(1),
            column: number(marker.col()).saturating_add(1),
        }
    }

    fn start(&self) -> Span {
        Span { file: self.file.clone(), line: 1, column: 1 }
    }

    fn too_big(&self, span: &Span) -> CompileError {
        CompileError::new(span, "The parsed YAML is too big")
    }

    fn scan_error(&self, error: &ScanError) -> CompileError {
        let span = self.span(error.marker());
        if error.info().contains("unknown anchor") {
            return CompileError::new(&span, format!("Unknown alias: {}", self.alias_name(&span)));
        }
        if error.info().contains("recursion limit") {
            return self.too_big(&span);
        }
        let mistake = CompileError::new(&span, format!("invalid YAML: {}", error.info()));
        let line = self.text.lines().nth(span.line.saturating_sub(1) as usize).unwrap_or_default();
        if line.trim_start_matches(' ').starts_with('\t') {
            return mistake.help("YAML is indented with spaces, never with tabs");
        }
        mistake
    }

    fn alias_name(&self, span: &Span) -> String {
        let line = self.text.lines().nth(span.line.saturating_sub(1) as usize).unwrap_or_default();
        line.chars()
            .skip(span.column.saturating_sub(1) as usize)
            .skip_while(|c| *c == '*')
            .take_while(|c| !c.is_whitespace() && !matches!(c, ',' | ']' | '}'))
            .collect()
    }
}

fn scalar_node(text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Result<Node, CompileError> {
    let forced = match tag {
        None => false,
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => true,
        Some(tag)
            if tag.is_yaml_core_schema() && matches!(&*tag.suffix, "int" | "float" | "bool" | "null") =>
        {
            false
        }
        // The non-specific tag `!` makes a string of anything.
        Some(tag)
            if tag.handle.is_empty() && tag.suffix == "!" || tag.handle == "!" && tag.suffix.is_empty() =>
        {
            true
        }
        Some(tag) => return Err(unknown_tag(tag, &span)),
    };
    if forced || style != ScalarStyle::Plain {
        return Ok(Node::new(Value::Text(text.into()), span));
    }
    match scalar::resolve(text) {
        Ok(value) => Ok(Node::new(value, span)),
        Err(refused) => {
            let class = match refused {
                Refused::Date => "Date",
                Refused::Time => "Time",
            };
            let mistake = CompileError::new(&span, format!("Tried to load unspecified class: {class}"));
            Err(mistake.help(format!("put it in quotes: \"{text}\"")))
        }
    }
}

/// Checks the tag of a list or mapping; `true` for `!reference`.
fn collection_tag(tag: Option<&Tag>, core: &str, list: bool, span: &Span) -> Result<bool, CompileError> {
    match tag {
        None => Ok(false),
        Some(tag) if tag.handle == "!" && tag.suffix == "reference" && list => Ok(true),
        Some(tag) if tag.handle == "!" && tag.suffix == "reference" => Err(invalid_reference(span)),
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == core => Ok(false),
        Some(tag) => Err(unknown_tag(tag, span)),
    }
}

fn reference_node(items: &[Node], span: Span) -> Result<Node, CompileError> {
    let path: Option<Vec<Arc<str>>> = items.iter().map(|item| item.as_text().map(Arc::from)).collect();
    match path.filter(|path| !path.is_empty()) {
        Some(path) => Ok(Node::new(Value::Reference(path.into()), span)),
        None => Err(invalid_reference(&span)),
    }
}

fn invalid_reference(span: &Span) -> CompileError {
    CompileError::new(span, "!reference must be a non-empty list of strings: !reference [job, key]")
}

fn unknown_tag(tag: &Tag, span: &Span) -> CompileError {
    if tag.handle == "!" && tag.suffix == "reference" {
        return invalid_reference(span);
    }
    CompileError::new(span, format!("unknown tag {tag}: the only tag is !reference"))
}

fn key_text(node: &Node) -> Result<(Arc<str>, Span), CompileError> {
    let text = match &node.value {
        Value::Text(text) => Some(text.clone()),
        Value::Null => Some(Arc::from("")),
        _ => node.scalar_text().map(Arc::from),
    };
    match text {
        Some(text) => Ok((text, node.span.clone())),
        None => Err(CompileError::new(&node.span, "a key must be a string, not a list or a hash")),
    }
}
