//! What is wrong with a configuration, and where.

use std::fmt;

use super::span::Span;

/// One mistake in a configuration.
///
/// Displays as `FILE:LINE:COLUMN: message`. Messages are those of GitLab, `location attribute text`, so that they can
/// be searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompileError {
    /// Where the offending key or value is written.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// What can be done about it, if that is not obvious.
    pub help: Option<String>,
}

impl CompileError {
    pub(crate) fn new(span: &Span, message: impl Into<String>) -> Self {
        Self { span: span.clone(), message: message.into(), help: None }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.span, self.message)
    }
}

impl std::error::Error for CompileError {}

/// Everything that is wrong with a configuration; never empty. Displays as one line per mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileErrors {
    errors: Vec<CompileError>,
}

impl CompileErrors {
    /// `Err` with all errors if there are any.
    pub(crate) fn check(errors: Vec<CompileError>) -> Result<(), Self> {
        if errors.is_empty() { Ok(()) } else { Err(Self { errors }) }
    }

    /// Says of every mistake that it may come from an include that was left out.
    pub(crate) fn blame(mut self, left_out: &[String]) -> Self {
        if let Some(first) = left_out.first() {
            for error in &mut self.errors {
                error.help = Some(format!("perhaps because of an include that was left out: {first}"));
            }
        }
        self
    }

    /// The mistakes in the order found.
    pub fn iter(&self) -> impl Iterator<Item = &CompileError> {
        self.errors.iter()
    }

    /// How many mistakes there are, at least 1.
    #[must_use]
    pub fn count(&self) -> usize {
        self.errors.len()
    }
}

impl From<CompileError> for CompileErrors {
    fn from(error: CompileError) -> Self {
        Self { errors: vec![error] }
    }
}

impl fmt::Display for CompileErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, error) in self.errors.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for CompileErrors {}
