//! What is wrong with a configuration, and where.

mod excerpt;
mod trail;

use std::fmt;

use super::span::Span;

pub use excerpt::Excerpt;
pub(crate) use trail::Origin;
pub use trail::Step;

/// So many includes are named when something is missing.
const MAX_BLAMED: usize = 5;

/// One mistake in a configuration.
///
/// Displays as `FILE:LINE:COLUMN: message`; the alternate form (`{:#}`) shows the line with a caret below, what can be
/// done, and how the line came to take part. Messages are those of GitLab, `location attribute text`, so that they can be
/// searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompileError {
    /// Where the offending key or value is written.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// What can be done about it, if that is not obvious.
    pub help: Option<String>,
    /// Which kind of mistake it is.
    pub code: Code,
    /// The line in question; `None` where no file stands behind the span.
    pub excerpt: Option<Box<Excerpt>>,
    /// How the place came to take part: through which includes, and which `extends`. Empty for a job that is written in the
    /// root file itself.
    pub trail: Vec<Step>,
    /// Whether something is missing that an include may have brought.
    missing: bool,
}

/// Kind of a mistake: what an editor or a script can decide by. Its text form never changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// `yaml`: the text is no YAML, or YAML that GitLab refuses.
    Yaml,
    /// `include`: a file that cannot be included.
    Include,
    /// `extends`: an ancestor that does not exist or leads in a circle.
    Extends,
    /// `reference`: a `!reference` to nothing or in a circle.
    Reference,
    /// `unknown-key`: a keyword that does not exist there.
    UnknownKey,
    /// `keyword`: a keyword with a wrong value.
    #[default]
    Keyword,
    /// `graph`: stages, needs, dependencies that do not fit together.
    Graph,
    /// `rules`: what is wrong shows only when the rules are applied.
    Rules,
    /// `unsupported`: valid, but not here.
    Unsupported,
}

impl Code {
    /// Its text form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::Include => "include",
            Self::Extends => "extends",
            Self::Reference => "reference",
            Self::UnknownKey => "unknown-key",
            Self::Keyword => "keyword",
            Self::Graph => "graph",
            Self::Rules => "rules",
            Self::Unsupported => "unsupported",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl CompileError {
    pub(crate) fn new(span: &Span, message: impl Into<String>) -> Self {
        Self {
            span: span.clone(),
            message: message.into(),
            help: None,
            code: Code::default(),
            excerpt: None,
            trail: Vec::new(),
            missing: false,
        }
    }

    /// Marks the mistake as one that goes away when an include brings what is missing.
    pub(crate) fn missing(mut self) -> Self {
        self.missing = true;
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// Sets the code unless a better one is known.
    pub(crate) fn or_code(mut self, code: Code) -> Self {
        if self.code == Code::default() {
            self.code = code;
        }
        self
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.span, self.message)?;
        if !f.alternate() {
            return Ok(());
        }
        let number = self.span.line.to_string();
        let margin = " ".repeat(number.len());
        if let Some(excerpt) = &self.excerpt {
            write!(f, "\n  {number} | {}\n  {margin} | {}", excerpt.text, excerpt.carets())?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n  {margin} = help: {help}")?;
        }
        for step in &self.trail {
            write!(f, "\n  {margin} = {step}")?;
        }
        Ok(())
    }
}

impl std::error::Error for CompileError {}

/// More mistakes than this are not collected.
pub(crate) const MAX_ERRORS: usize = 100;

/// Everything that is wrong with a configuration; never empty. Displays as one line per mistake, in the alternate form
/// (`{:#}`) as a paragraph per mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileErrors {
    errors: Vec<CompileError>,
}

impl CompileErrors {
    /// `Err` with all errors if there are any.
    pub(crate) fn check(mut errors: Vec<CompileError>) -> Result<(), Self> {
        errors.truncate(MAX_ERRORS);
        if errors.is_empty() { Ok(()) } else { Err(Self { errors }) }
    }

    /// Says of what is missing that it may come from the includes that were left out.
    pub(crate) fn blame(mut self, left_out: &[String]) -> Self {
        let named: Vec<&str> = left_out.iter().take(MAX_BLAMED).map(String::as_str).collect();
        let more = match left_out.len().saturating_sub(MAX_BLAMED) {
            0 => String::new(),
            more => format!("; {more} more"),
        };
        let help = match named.as_slice() {
            [] => return self,
            [one] => format!("perhaps because of an include that was left out: {one}"),
            several => {
                format!(
                    "perhaps because of one of the includes that were left out: {}{more}",
                    several.join("; ")
                )
            }
        };
        for error in self.errors.iter_mut().filter(|error| error.missing) {
            error.help = Some(help.clone());
        }
        self
    }

    /// Gives every mistake a code that has none of its own.
    pub(crate) fn or_code(self, code: Code) -> Self {
        Self { errors: self.errors.into_iter().map(|error| error.or_code(code)).collect() }
    }

    /// Shows lines, and how they came to take part.
    pub(crate) fn explain(mut self, origin: &Origin) -> Self {
        for error in &mut self.errors {
            origin.explain(error);
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

impl From<CompileError> for Vec<CompileError> {
    fn from(error: CompileError) -> Self {
        vec![error]
    }
}

impl fmt::Display for CompileErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, error) in self.errors.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for CompileErrors {}
