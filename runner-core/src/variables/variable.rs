//! [`Variable`]: one record of the list.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// A variable of a job. `Debug` shows everything but the value.
///
/// ```
/// use runner_core::variables::Variable;
///
/// let variable = Variable::new("PASSWORD", "hunter2").masked(true);
/// assert_eq!(variable.value(), "hunter2");
/// assert!(!format!("{variable:?}").contains("hunter2"));
/// ```
#[derive(Clone)]
pub struct Variable {
    /// Name. The server may send any text; only names that a shell accepts reach scripts.
    pub key: String,
    value: SecretString,
    /// May be shown, and passed to services.
    pub public: bool,
    /// Set by the runner. Never on the wire.
    pub internal: bool,
    /// The value is the content of a file; the environment variable holds its path.
    pub file: bool,
    /// The value is replaced in the log.
    pub masked: bool,
    /// The value is not expanded.
    pub raw: bool,
}

impl Variable {
    /// A variable without any of the marks: not public, to be expanded.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            value: SecretString::from(value.into()),
            public: false,
            internal: false,
            file: false,
            masked: false,
            raw: false,
        }
    }

    /// A variable that the runner adds: public, internal, not expanded.
    pub fn of_runner(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self::new(key, value).public(true).internal(true).raw(true)
    }

    /// Sets whether it may be shown.
    #[must_use]
    pub fn public(mut self, yes: bool) -> Self {
        self.public = yes;
        self
    }

    /// Sets whether it comes from the runner.
    #[must_use]
    pub fn internal(mut self, yes: bool) -> Self {
        self.internal = yes;
        self
    }

    /// Sets whether the value is the content of a file.
    #[must_use]
    pub fn file(mut self, yes: bool) -> Self {
        self.file = yes;
        self
    }

    /// Sets whether the value is replaced in the log.
    #[must_use]
    pub fn masked(mut self, yes: bool) -> Self {
        self.masked = yes;
        self
    }

    /// Sets whether the value is left as it is.
    #[must_use]
    pub fn raw(mut self, yes: bool) -> Self {
        self.raw = yes;
        self
    }

    /// The value: for file variables the content of the file. It may be secret.
    pub fn value(&self) -> &str {
        self.value.expose_secret()
    }

    /// The same variable with another value.
    pub(crate) fn with_value(&self, value: impl Into<String>) -> Self {
        Self { value: SecretString::from(value.into()), ..self.clone() }
    }
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variable")
            .field("key", &self.key)
            .field("value", &format_args!("[{} bytes]", self.value().len()))
            .field("public", &self.public)
            .field("internal", &self.internal)
            .field("file", &self.file)
            .field("masked", &self.masked)
            .field("raw", &self.raw)
            .finish()
    }
}

/// Whether a shell accepts the name: a letter or underscore, then letters, digits and underscores.
pub(crate) fn is_shell_name(name: &str) -> bool {
    name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
