//! [`Spec`]: how a stage's shell is started.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};

/// Version of the spec. A supervisor refuses any other: it is started by the program that wrote the spec.
pub const SPEC_VERSION: u32 = 1;

/// What an executor asks of a supervisor, in the file [`SPEC`](crate::folder::SPEC). May hold secrets: the file has mode 0600
/// and is gone as soon as the shell runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Spec {
    /// [`SPEC_VERSION`].
    pub version: u32,
    /// The shell and its arguments; the path of the script is added as the last one.
    pub shell: Vec<String>,
    /// Working directory of the shell, absolute. It must exist.
    pub cwd: String,
    /// Variables added to the supervisor's own environment; a later one of the same name wins.
    #[serde(default)]
    pub env: Vec<Variable>,
    /// Files to write before the shell starts.
    #[serde(default)]
    pub secret_files: Vec<SecretFile>,
    /// Milliseconds between asking and killing when the supervisor itself gets SIGTERM or has to stop the stage on its own.
    pub default_grace_ms: u64,
    /// Milliseconds between asking and killing for processes that the stage leaves behind when it ends.
    pub leftover_grace_ms: u64,
    /// Milliseconds between two looks whether the folder is still there.
    pub check_interval_ms: u64,
}

/// A variable of the shell's environment.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// Its name.
    pub key: String,
    /// Its value.
    #[serde(serialize_with = "expose")]
    pub value: SecretString,
}

/// A file that holds a secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretFile {
    /// Its absolute path. Folders on the way are made with mode 0700; a file that is there is replaced.
    pub path: String,
    /// Its content.
    #[serde(serialize_with = "expose")]
    pub content: SecretString,
    /// Its permissions, such as `0o600`.
    pub mode: u32,
}

impl Spec {
    /// A spec without variables and files: grace 30 s, 1 s for leftovers, a look each 10 s.
    pub fn new(shell: Vec<String>, cwd: impl Into<String>) -> Self {
        Self {
            version: SPEC_VERSION,
            shell,
            cwd: cwd.into(),
            env: Vec::new(),
            secret_files: Vec::new(),
            default_grace_ms: 30_000,
            leftover_grace_ms: 1_000,
            check_interval_ms: 10_000,
        }
    }

    /// Time between asking and killing when nobody said otherwise.
    pub fn default_grace(&self) -> Duration {
        Duration::from_millis(self.default_grace_ms)
    }

    /// Time between asking and killing for what the stage leaves behind.
    pub fn leftover_grace(&self) -> Duration {
        Duration::from_millis(self.leftover_grace_ms)
    }

    /// Time between two looks at the folder.
    pub fn check_interval(&self) -> Duration {
        Duration::from_millis(self.check_interval_ms)
    }

    /// The text of the file.
    ///
    /// # Errors
    /// Never in practice: everything in a spec can be said in JSON.
    pub fn to_json(&self) -> Result<Vec<u8>, SpecError> {
        serde_json::to_vec(self).map_err(|e| json_error(&e))
    }

    /// Reads the text of the file.
    ///
    /// # Errors
    /// When it is no spec, of another version, or without a shell. The message holds no value of the spec.
    pub fn from_json(bytes: &[u8]) -> Result<Self, SpecError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let Versioned { version } = serde_json::from_slice(bytes).map_err(|e| json_error(&e))?;
        if version != SPEC_VERSION {
            return Err(SpecError::UnsupportedVersion { version });
        }
        let spec: Self = serde_json::from_slice(bytes).map_err(|e| json_error(&e))?;
        if spec.shell.is_empty() {
            return Err(SpecError::NoShell);
        }
        Ok(spec)
    }
}

fn expose<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

fn json_error(error: &serde_json::Error) -> SpecError {
    SpecError::Json { line: error.line(), column: error.column() }
}

/// Why a text is not a spec.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpecError {
    /// Not the JSON that was expected, seen at this place. The decoder's own words are left out: they may quote a value, and a
    /// value may be a secret.
    Json {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// Of another version.
    UnsupportedVersion {
        /// What the spec says.
        version: u32,
    },
    /// The shell's command line is empty.
    NoShell,
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpecError::Json { line, column } => write!(f, "not a stage spec (line {line}, column {column})"),
            SpecError::UnsupportedVersion { version } => {
                write!(f, "stage spec of version {version}; this program reads version {SPEC_VERSION}")
            }
            SpecError::NoShell => f.write_str("stage spec without a shell"),
        }
    }
}

impl Error for SpecError {}
