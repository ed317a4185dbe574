//! A configuration file's text with positions: from a key's path or a byte offset to file, line, column and a caret.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

/// Names of keys whose values are not shown, even in an error about them.
const SECRET: [&str; 6] = ["token", "secret", "password", "key", "credential", "dsn"];

/// One step from the root of the file to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// A key of a table.
    Key(String),
    /// A position in an array, from 0.
    Index(usize),
}

/// The text of a file and where it came from.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    path: PathBuf,
    text: String,
}

impl Document {
    /// Takes a file's text; `path` is what messages show.
    pub(crate) fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// Path of the file as the user knows it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What is wrong with the value under `steps`.
    pub(crate) fn complain(&self, steps: &[Step], message: impl Into<String>) -> Complaint {
        let span = self.find(steps).map(|found| found.value);
        self.complain_at(span, steps, message)
    }

    /// What is wrong with the key at the end of `steps`.
    pub(crate) fn complain_of_key(&self, steps: &[Step], message: impl Into<String>) -> Complaint {
        let span = self.find(steps).map(|found| found.key.unwrap_or(found.value));
        self.complain_at(span, steps, message)
    }

    /// What is wrong at a place that the parser named.
    pub(crate) fn complain_at(
        &self,
        span: Option<Range<usize>>,
        steps: &[Step],
        message: impl Into<String>,
    ) -> Complaint {
        Complaint {
            file: self.path.clone(),
            key: dotted(steps),
            message: message.into(),
            place: span.and_then(|span| self.place(&span)),
        }
    }

    /// Line of the value under `steps`, from 1.
    pub(crate) fn line(&self, steps: &[Step]) -> Option<usize> {
        let found = self.find(steps)?;
        self.place(&found.key.unwrap_or(found.value)).map(|place| place.line)
    }

    fn find(&self, steps: &[Step]) -> Option<Found> {
        let root = DeTable::parse(&self.text).ok()?;
        let mut table = Some(root.get_ref());
        let mut array = None;
        let mut found = None;
        for step in steps {
            let (key, value) = match step {
                Step::Key(name) => {
                    let (key, value) = table?.iter().find(|(key, _)| key.get_ref() == name)?;
                    (Some(key.span()), value)
                }
                Step::Index(index) => {
                    let values: &toml::de::DeArray<'_> = array?;
                    (None, values.get(*index)?)
                }
            };
            found = Some(Found { key, value: value.span() });
            table = value.get_ref().as_table();
            array = match value.get_ref() {
                DeValue::Array(values) => Some(values),
                _ => None,
            };
        }
        found
    }

    fn place(&self, span: &Range<usize>) -> Option<Place> {
        let before = self.text.get(..span.start)?;
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let rest = self.text.get(line_start..)?;
        let source = rest.split('\n').next().unwrap_or_default().trim_end_matches('\r');
        let column = self.text.get(line_start..span.start)?.chars().count() + 1;
        let end = span.end.min(line_start + source.len()).max(span.start);
        let width = self.text.get(span.start..end).map_or(1, |text| text.chars().count()).max(1);
        Some(Place { line: before.matches('\n').count() + 1, column, width, source: source.to_owned() })
    }
}

struct Found {
    key: Option<Range<usize>>,
    value: Range<usize>,
}

/// Something about a configuration file that a person should know: where, what, and the line itself with a caret.
///
/// Displays over several lines, fit for the end of an error; [`Complaint::short`] is one line for logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Complaint {
    file: PathBuf,
    key: String,
    message: String,
    place: Option<Place>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    line: usize,
    column: usize,
    width: usize,
    source: String,
}

impl Complaint {
    /// Says another key than the one pointed at: a key that is missing has no place of its own.
    pub(super) fn name(&mut self, steps: &[Step]) {
        self.key = dotted(steps);
    }

    /// Says something better than the key's name.
    pub(super) fn rename(&mut self, key: String) {
        self.key = key;
    }

    /// One line for a key that has no effect: `not supported: KEY (FILE:LINE)`.
    pub(crate) fn not_supported(&self) -> String {
        let line = self.place.as_ref().map(|place| format!(":{}", place.line)).unwrap_or_default();
        format!("not supported: {} ({}{line})", self.key, self.file.display())
    }

    /// Line and column, to sort by.
    pub(super) fn position(&self) -> (usize, usize) {
        self.place.as_ref().map(|place| (place.line, place.column)).unwrap_or_default()
    }

    /// One line: `FILE:LINE:COLUMN: key: message`.
    pub(crate) fn short(&self) -> String {
        let mut text = self.file.display().to_string();
        if let Some(place) = &self.place {
            text.push_str(&format!(":{}:{}", place.line, place.column));
        }
        if !self.key.is_empty() {
            text.push_str(&format!(": {}", self.key));
        }
        format!("{text}: {}", self.message)
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())?;
        let Some(place) = self.place.as_ref().filter(|place| !place.is_secret()) else { return Ok(()) };
        let number = place.line.to_string();
        let margin = " ".repeat(number.len());
        // Tabs are one column for the caret and many on the screen; a blank is one everywhere.
        let source = place.source.replace('\t', " ");
        let indent = " ".repeat(place.column - 1);
        let caret = "^".repeat(place.width);
        write!(f, "\n{margin} |\n{number} | {source}\n{margin} | {indent}{caret}")
    }
}

impl Place {
    fn is_secret(&self) -> bool {
        let key = self.source.split('=').next().unwrap_or_default().to_lowercase();
        self.source.contains('=') && SECRET.iter().any(|word| key.contains(word))
    }
}

/// `runners.cache.Type`: positions in arrays are left out, the line number tells them.
fn dotted(steps: &[Step]) -> String {
    let keys: Vec<&str> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Index(_) => None,
        })
        .collect();
    keys.join(".")
}

#[cfg(test)]
mod tests {
    use super::{Document, Step};

    fn steps(keys: &[&str]) -> Vec<Step> {
        keys.iter()
            .map(|key| key.parse().map_or_else(|_| Step::Key((*key).to_owned()), Step::Index))
            .collect()
    }

    #[test]
    fn finds_keys_in_nested_tables() {
        let document =
            Document::new("c.toml", "a = 1\n[[runners]]\nx = 1\n[[runners]]\n  [runners.b]\n    y = \"ä\"\n");
        assert_eq!(document.line(&steps(&["runners", "0", "x"])), Some(3));
        assert_eq!(document.line(&steps(&["runners", "1", "b", "y"])), Some(6));
        assert_eq!(document.line(&steps(&["runners", "2"])), None);
        assert_eq!(
            document.complain(&steps(&["runners", "1", "b", "y"]), "no good").to_string(),
            "c.toml:6:9: runners.b.y: no good\n  |\n6 |     y = \"ä\"\n  |         ^^^"
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        let document = Document::new("c.toml", "[[runners]]\ntoken = \"glrt-abc\"\n");
        let complaint = document.complain(&steps(&["runners", "0", "token"]), "no good").to_string();
        assert_eq!(complaint, "c.toml:2:9: runners.token: no good");
    }
}
