//! The text of a file, made acceptable to the parser.
//!
//! GitLab's library is of the time of YAML 1.1 and lets pass what parsers of YAML 1.2 refuse: lists and hashes in brackets
//! and quoted texts whose further lines are indented less than their parent, and tabs between a key and its value. The
//! parser stops there; the line is then indented, or the tab made a blank, and the parser starts again. Neither changes
//! what the file means, and places are reported as they are in the file.

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Marker, ScanError};

/// By how many blanks a line in brackets is indented: more than any parent is.
const INDENT: usize = 256;
/// How much text may be parsed again, in bytes.
const MAX_WORK: usize = 64 * 1024 * 1024;

/// A text and how far its lines were moved to the right.
#[derive(Debug)]
pub(super) struct Source<'t> {
    text: Cow<'t, str>,
    shifts: HashMap<usize, usize>,
    work: usize,
}

impl<'t> Source<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text: Cow::Borrowed(text), shifts: HashMap::new(), work: 0 }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Line and column in the file, both from 1.
    pub(super) fn place(&self, marker: &Marker) -> (u32, u32) {
        let shift = self.shifts.get(&marker.line()).copied().unwrap_or(0);
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        (number(marker.line()).max(1), number(marker.col().saturating_sub(shift)).saturating_add(1))
    }

    /// Where a column of the file, from 0, is in the text that is parsed.
    pub(super) fn shifted(&self, line: u32, column: usize) -> usize {
        let shift = usize::try_from(line).ok().and_then(|line| self.shifts.get(&line)).copied().unwrap_or(0);
        column.saturating_add(shift)
    }

    /// Whether the reason of a failure was removed, so that parsing is worth another try.
    pub(super) fn repair(&mut self, error: &ScanError) -> bool {
        self.work = self.work.saturating_add(self.text.len());
        if self.work > MAX_WORK {
            return false;
        }
        let marker = error.marker();
        let info = error.info();
        if info.contains("invalid indentation in quoted scalar") {
            self.indent_quoted(marker)
        } else if info.contains("invalid indentation") {
            self.indent_line(marker.line(), INDENT)
        } else if info.contains("must be followed by a valid YAML whitespace") {
            self.replace_tabs(marker)
        } else {
            false
        }
    }

    fn indent_line(&mut self, line: usize, blanks: usize) -> bool {
        if self.shifts.contains_key(&line) {
            return false;
        }
        let Some(start) = self.line_start(line) else { return false };
        self.text.to_mut().insert_str(start, &" ".repeat(blanks));
        self.shifts.insert(line, blanks);
        true
    }

    /// Indents the further lines of the quoted text that starts at `marker`.
    fn indent_quoted(&mut self, marker: &Marker) -> bool {
        let Some(start) = self.offset(marker) else { return false };
        let Some(breaks) = self.text.get(start..).and_then(line_breaks_in_quotes) else { return false };
        let first = marker.line();
        let mut changed = false;
        for line in first + 1..=first + breaks {
            changed |= self.indent_line(line, marker.col() + 1);
        }
        changed
    }

    /// Makes blanks of the tabs in front of `marker`.
    fn replace_tabs(&mut self, marker: &Marker) -> bool {
        let Some(end) = self.offset(marker) else { return false };
        let before = self.text.get(..end).unwrap_or_default();
        let start = before.trim_end_matches(['\t', ' ']).len();
        let blanks = before.get(start..).unwrap_or_default().replace('\t', " ");
        if !before.get(start..).is_some_and(|blanks| blanks.contains('\t')) {
            return false;
        }
        self.text.to_mut().replace_range(start..end, &blanks);
        true
    }

    fn line_start(&self, line: usize) -> Option<usize> {
        match line {
            0 => None,
            1 => Some(0),
            _ => self.text.match_indices('\n').nth(line - 2).map(|(at, _)| at + 1),
        }
    }

    fn offset(&self, marker: &Marker) -> Option<usize> {
        let start = self.line_start(marker.line())?;
        let line = self.text.get(start..)?;
        let within = line.char_indices().nth(marker.col()).map_or(line.len(), |(at, _)| at);
        Some(start + within)
    }
}

/// How many line breaks a quoted text holds; `None` if it has no end.
fn line_breaks_in_quotes(text: &str) -> Option<usize> {
    let mut chars = text.chars().peekable();
    let quote = chars.next().filter(|quote| matches!(quote, '"' | '\''))?;
    let mut breaks = 0;
    while let Some(c) = chars.next() {
        match c {
            '\n' => breaks += 1,
            '\\' if quote == '"' => breaks += usize::from(chars.next() == Some('\n')),
            '\'' if quote == '\'' && chars.peek() == Some(&'\'') => {
                chars.next();
            }
            c if c == quote => return Some(breaks),
            _ => {}
        }
    }
    None
}
