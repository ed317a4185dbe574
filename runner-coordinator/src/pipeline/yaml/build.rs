//! From parser events to trees.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, StrInput, Tag};

use super::super::error::CompileError;
use super::super::span::Span;
use super::advice::{self, Stumble};
use super::map::{Duplicate, MapBuilder};
use super::node::{MAX_DEPTH, Node, Value};
use super::scalar::{self, Refused};
use super::source::Source;

/// Most nodes of one file, aliases written out. About what fits into GitLab's limit of 2 MiB, generously rounded.
const MAX_NODES: u64 = 250_000;
/// Longest file.
const MAX_BYTES: usize = 4 * 1024 * 1024;

const NO_TABS: &str = "YAML is indented with spaces, never with tabs";

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
    let file: Arc<str> = Arc::from(file);
    if text.len() > MAX_BYTES {
        return Err(too_big(&Span { file, line: 1, column: 1 }));
    }
    let mut source = Source::new(text);
    loop {
        let mut builder = Builder::new(file.clone(), &source);
        match builder.run() {
            Ok(()) => return builder.into_document(),
            Err(Failure::Mistake(error)) => return Err(error),
            Err(Failure::Scan(error)) => {
                let mistake = builder.scan_error(&error);
                if !source.repair(&error) {
                    return Err(mistake);
                }
            }
        }
    }
}

/// Why a text is not a tree.
#[derive(Debug)]
enum Failure {
    Scan(ScanError),
    Mistake(CompileError),
}

impl From<CompileError> for Failure {
    fn from(error: CompileError) -> Self {
        Self::Mistake(error)
    }
}

#[derive(Debug)]
struct Builder<'t> {
    file: Arc<str>,
    source: &'t Source<'t>,
    frames: Vec<Frame>,
    /// For each open list or mapping whether it is written in brackets.
    in_brackets: Vec<bool>,
    /// Lines that are indented with tabs.
    tab_lines: HashSet<usize>,
    /// Length in characters of a file that does not end with a line break.
    open_end: Option<usize>,
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

impl<'t> Builder<'t> {
    fn new(file: Arc<str>, source: &'t Source<'t>) -> Self {
        Self {
            file,
            source,
            frames: Vec::new(),
            in_brackets: Vec::new(),
            tab_lines: tab_lines(source.text()),
            open_end: (!source.text().ends_with('\n')).then(|| source.text().chars().count()),
            anchors: HashMap::new(),
            documents: Vec::new(),
            nodes: 0,
            duplicates: Vec::new(),
        }
    }

    fn run(&mut self) -> Result<(), Failure> {
        let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str(self.source.text());
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(Failure::Scan)?;
            if matches!(
                event,
                Event::Scalar(..) | Event::Alias(_) | Event::SequenceStart(..) | Event::MappingStart(..)
            ) {
                self.check_indentation(&span.start)?;
            }
            self.event(event, &span.start, &span.end)?;
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, start: &Marker, end: &Marker) -> Result<(), CompileError> {
        let span = self.span(start);
        match event {
            Event::DocumentStart(_) => {
                self.anchors.clear();
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_missing = text.is_empty() && style == ScalarStyle::Plain && tag.is_none();
                if is_missing && matches!(self.frames.last(), Some(Frame::Map { key: None, .. })) {
                    return Err(CompileError::new(&span, "invalid YAML: a key is missing in front of `:`"));
                }
                let text = if self.ends_the_file(style, end) { text.trim_end_matches('\n') } else { &text };
                let node = scalar_node(text, style, tag.as_deref(), span)?;
                self.finish_node(node, anchor, false)
            }
            Event::Alias(id) => match self.anchors.get(&id) {
                Some(node) => {
                    let node = node.clone();
                    self.finish_node(node, 0, true)
                }
                None => Err(self.unknown_alias(start)),
            },
            Event::SequenceStart(anchor, tag) => {
                let reference = collection_tag(tag.as_deref(), "seq", true, &span)?;
                self.in_brackets.push(self.char_at(start) == Some('['));
                self.open(Frame::List { items: Vec::new(), anchor, reference, span })
            }
            Event::MappingStart(anchor, tag) => {
                collection_tag(tag.as_deref(), "map", false, &span)?;
                self.in_brackets.push(self.char_at(start) == Some('{'));
                self.open(Frame::Map { builder: MapBuilder::default(), anchor, key: None, span })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.in_brackets.pop();
                self.close()
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    /// Outside of brackets tabs are no indentation, although the parser takes some of them.
    fn check_indentation(&self, start: &Marker) -> Result<(), CompileError> {
        let is_first = || self.raw_line(start).chars().take(start.col()).all(char::is_whitespace);
        if self.tab_lines.contains(&start.line()) && !self.in_brackets.contains(&true) && is_first() {
            let mistake = CompileError::new(&self.span(start), "invalid YAML: a tab is used as indentation");
            return Err(mistake.help(NO_TABS));
        }
        Ok(())
    }

    /// Whether a block is the last thing in a file that does not end with a line break; the block does not either then.
    fn ends_the_file(&self, style: ScalarStyle, end: &Marker) -> bool {
        matches!(style, ScalarStyle::Literal | ScalarStyle::Folded)
            && self.open_end.is_some_and(|length| end.index() >= length)
    }

    fn open(&mut self, frame: Frame) -> Result<(), CompileError> {
        let span = match &frame {
            Frame::List { span, .. } | Frame::Map { span, .. } => span.clone(),
        };
        self.frames.push(frame);
        if self.frames.len() > MAX_DEPTH as usize { Err(too_big(&span)) } else { Ok(()) }
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
            return Err(too_big(&node.span));
        }
        match self.frames.last_mut() {
            None => self.documents.push(node),
            Some(Frame::List { items, .. }) => items.push(node),
            Some(Frame::Map { builder, key, .. }) => match key.take() {
                None => *key = Some(key_text(&node)?),
                Some((key, span)) if &*key == "<<" => {
                    if !builder.merge(&node, !alias) {
                        return Err(not_mergeable(&node, &span));
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
            // A last line `---` begins nothing, unless a header stands above it.
            (Some(first), Some(last), None) if last.is_null() && !is_header(&first) => {
                Ok(Document { header: None, content: Some(first), notes })
            }
            (header, content, None) => Ok(Document { header, content, notes }),
            (_, _, Some(third)) => Err(CompileError::new(
                &third.span,
                "a configuration file holds one document, or a header with `spec` and one document",
            )),
        }
    }

    fn span(&self, marker: &Marker) -> Span {
        let (line, column) = self.source.place(marker);
        Span { file: self.file.clone(), line, column }
    }

    /// A line as the parser sees it.
    fn raw_line(&self, marker: &Marker) -> &'t str {
        self.source.text().lines().nth(marker.line().saturating_sub(1)).unwrap_or_default()
    }

    /// Looked up only where it matters, because it takes a walk through the text.
    fn char_at(&self, marker: &Marker) -> Option<char> {
        if self.tab_lines.is_empty() { None } else { self.raw_line(marker).chars().nth(marker.col()) }
    }

    fn scan_error(&self, error: &ScanError) -> CompileError {
        let span = self.span(error.marker());
        if error.info().contains("unknown anchor") {
            return self.unknown_alias(error.marker());
        }
        if error.info().contains("recursion limit") {
            return too_big(&span);
        }
        let mistake = CompileError::new(&span, format!("invalid YAML: {}", error.info()));
        if self.tab_lines.contains(&error.marker().line()) || error.info().contains("tab") {
            return mistake.help(NO_TABS);
        }
        let stumble = Stumble {
            info: error.info(),
            line: self.raw_line(error.marker()),
            column: error.marker().col(),
            bracket: self.open_bracket(),
        };
        match stumble.advice() {
            Some(advice) => mistake.help(advice),
            None => mistake,
        }
    }

    fn unknown_alias(&self, marker: &Marker) -> CompileError {
        let name = self.alias_name(marker);
        let anchors: Vec<String> = self.source.text().split('&').skip(1).map(anchor_name).collect();
        CompileError::new(&self.span(marker), format!("Unknown alias: {name}"))
            .help(advice::of_alias(&name, &anchors))
    }

    /// The innermost list or mapping, if it is written in brackets, and its line.
    fn open_bracket(&self) -> Option<(char, u32)> {
        let (start, bracket) = match self.frames.last()? {
            Frame::List { span, .. } => (span, '['),
            Frame::Map { span, .. } => (span, '{'),
        };
        let line = usize::try_from(start.line).ok()?.checked_sub(1)?;
        let column = usize::try_from(start.column).ok()?.checked_sub(1)?;
        let first =
            self.source.text().lines().nth(line)?.chars().nth(self.source.shifted(start.line, column))?;
        (first == bracket).then_some((bracket, start.line))
    }

    fn alias_name(&self, marker: &Marker) -> String {
        self.raw_line(marker)
            .chars()
            .skip(marker.col())
            .skip_while(|c| *c == '*')
            .take_while(|c| !c.is_whitespace() && !matches!(c, ',' | ']' | '}'))
            .collect()
    }
}

fn not_mergeable(node: &Node, span: &Span) -> CompileError {
    let error = CompileError::new(span, "merge key `<<` needs a hash, an alias of a hash, or a list of them");
    match node.as_text() {
        Some(name) => error.help(format!("for what a job inherits write `extends: {name}`")),
        None => error,
    }
}

fn is_header(node: &Node) -> bool {
    node.as_map().is_some_and(|map| map.entry("spec").is_some())
}

/// The name with which what follows an `&` begins.
fn anchor_name(rest: &str) -> String {
    rest.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.')).collect()
}

/// Lines with a tab in front of their first character.
fn tab_lines(text: &str) -> HashSet<usize> {
    if !text.contains('\t') {
        return HashSet::new();
    }
    let indentation = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    text.lines()
        .enumerate()
        .filter(|(_, line)| line.get(..indentation(line)).is_some_and(|blanks| blanks.contains('\t')))
        .map(|(index, _)| index + 1)
        .collect()
}

fn too_big(span: &Span) -> CompileError {
    CompileError::new(span, "The parsed YAML is too big")
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
        .help("a text that begins with `!` must be in quotes")
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
