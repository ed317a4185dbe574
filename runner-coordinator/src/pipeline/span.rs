//! Where something is written: file, line and column.

use std::fmt;
use std::sync::Arc;

/// The place of a key or value in a configuration file. Cheap to clone; keeps its place through merging, so that an
/// error about an inherited value points at the file that defines it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// Path of the file as the user knows it.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl Default for Span {
    /// The beginning of a file without a name.
    fn default() -> Self {
        Self { file: Arc::from(""), line: 1, column: 1 }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}
