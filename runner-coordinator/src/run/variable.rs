//! A variable as a payload carries it.

use std::fmt;

use serde_json::{Map, Value};

use crate::pipeline::Variable;

/// One entry of a payload's `variables`.
///
/// Debug output shows the value only of public variables.
#[derive(Clone, PartialEq, Eq)]
pub struct JobVariable {
    /// Name.
    pub key: String,
    /// Value; references in it may be unexpanded.
    pub value: String,
    /// May be shown to services.
    pub public: bool,
    /// The runner hides the value in the log.
    pub masked: bool,
    /// The runner writes the value to a file, and the variable holds its path.
    pub file: bool,
    /// The value is never expanded.
    pub raw: bool,
}

impl JobVariable {
    /// A public variable.
    #[must_use]
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into(), public: true, masked: false, file: false, raw: false }
    }

    /// A variable whose value is hidden in logs and from services.
    #[must_use]
    pub fn masked(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { public: false, masked: true, ..Self::new(key, value) }
    }

    /// A variable of the project's settings, which services do not see.
    #[must_use]
    pub fn hidden(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { public: false, ..Self::new(key, value) }
    }

    /// The entry of the payload: `public` always, the other flags only when set.
    pub(super) fn to_payload(&self) -> Value {
        let mut entry = Map::new();
        entry.insert("key".to_owned(), self.key.clone().into());
        entry.insert("value".to_owned(), self.value.clone().into());
        entry.insert("public".to_owned(), self.public.into());
        for (flag, set) in [("masked", self.masked), ("file", self.file), ("raw", self.raw)] {
            if set {
                entry.insert(flag.to_owned(), true.into());
            }
        }
        Value::Object(entry)
    }
}

impl From<&Variable> for JobVariable {
    fn from(variable: &Variable) -> Self {
        Self { raw: variable.raw, ..Self::new(&variable.key, &variable.value) }
    }
}

impl From<&JobVariable> for Variable {
    /// What the compiler is told of a variable of the settings or of the command line.
    fn from(variable: &JobVariable) -> Self {
        Self { key: variable.key.clone(), value: variable.value.clone(), raw: variable.raw }
    }
}

impl fmt::Debug for JobVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value: &dyn fmt::Debug = if self.public { &self.value } else { &"[hidden]" };
        f.debug_struct("JobVariable")
            .field("key", &self.key)
            .field("value", value)
            .field("masked", &self.masked)
            .field("file", &self.file)
            .field("raw", &self.raw)
            .finish_non_exhaustive()
    }
}
