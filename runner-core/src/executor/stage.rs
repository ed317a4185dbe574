//! What travels between the core and an environment for one stage of a job.

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::EnvironmentError;

/// Names one try of one stage of a job; unique within the job.
///
/// ```
/// use runner_core::executor::StageKey;
///
/// let key = StageKey::new(4, "step_script", 1);
/// assert_eq!(key.slug(), "04-step_script-1");
/// assert_eq!(StageKey::new(5, "step_../x y", 1).slug(), "05-step____x_y-1");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StageKey {
    /// Position of the stage in the job's plan, from 0.
    pub ordinal: u16,
    /// Name of the stage as GitLab knows it: `get_sources`, `step_script`, `after_script`, …
    pub name: String,
    /// Which try this is, from 1.
    pub attempt: u16,
}

impl StageKey {
    /// Makes a key.
    pub fn new(ordinal: u16, name: impl Into<String>, attempt: u16) -> Self {
        Self { ordinal, name: name.into(), attempt }
    }

    /// A text that is unique within the job and safe as a file name, container name suffix or label value: a server may
    /// send any text as the name of a step.
    pub fn slug(&self) -> String {
        let safe: String = self
            .name
            .chars()
            .take(48)
            .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' })
            .collect();
        format!("{:02}-{safe}-{}", self.ordinal, self.attempt)
    }
}

impl fmt::Display for StageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.attempt == 1 {
            f.write_str(&self.name)
        } else {
            write!(f, "{} (attempt {})", self.name, self.attempt)
        }
    }
}

/// Where a stage runs, in places that have two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Location {
    /// The user's place: the job's image, the user's tools.
    Job,
    /// The helper's place: git and the helper program are there.
    Helper,
}

/// A variable whose value must not appear in the script's text, because scripts are kept and shown.
#[derive(Debug, Clone)]
pub struct SecretVariable {
    /// Name of the variable.
    pub key: String,
    /// Its value, or the content of its file.
    pub value: SecretString,
    /// `None`: the environment sets the variable for the stage's shell. `Some(path)`: the environment writes the value to
    /// this path (mode 0600, parents made) before the script begins; the script itself exports the path.
    pub file: Option<String>,
}

/// What a stage runs.
#[derive(Debug, Clone)]
pub struct StageInput {
    /// Text for the shell of the [`Place`](super::Place); holds no secret.
    pub script: String,
    /// Where it runs.
    pub location: Location,
    /// Values that the script needs and must not contain.
    pub secrets: Vec<SecretVariable>,
}

/// Answer of [`Environment::start`](super::Environment::start).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// It was started by this call.
    New,
    /// An earlier call had started it and it is running.
    Running,
    /// An earlier call had started it and it has ended.
    Ended,
}

/// How a stage ended, in the words of the place. *Canceled* and *timed out* are the core's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageEnd {
    /// The shell ended with this code.
    Exit(i32),
    /// The shell was ended by this signal.
    Signal(i32),
}

impl StageEnd {
    /// Whether the stage did what it was asked to do.
    pub fn is_success(self) -> bool {
        self == StageEnd::Exit(0)
    }
}

impl fmt::Display for StageEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StageEnd::Exit(code) => write!(f, "exit code {code}"),
            StageEnd::Signal(signal) => write!(f, "killed by signal {signal}"),
        }
    }
}

/// What is known of a stage.
#[derive(Debug)]
pub enum StageStatus {
    /// No call of `start` has taken effect.
    NotStarted,
    /// It is running.
    Running,
    /// It ended, and this is how.
    Ended(StageEnd),
    /// The place cannot say at the moment; ask again.
    Unknown,
    /// The place is gone and with it the stage's status.
    Lost(EnvironmentError),
}

/// How a stage is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Ask its processes to end (SIGTERM); kill what is left after the grace.
    Terminate {
        /// Time between asking and killing.
        grace: Duration,
    },
    /// Kill at once.
    Kill,
}

/// Which of the two outputs a frame was printed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A piece of a stage's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFrame {
    /// Source offset at which the frame begins. Offsets only grow; what they count is up to the environment.
    pub offset: u64,
    /// Source offset right after the frame: where following goes on.
    pub end: u64,
    /// When it was printed, by the clock of the place.
    pub time: SystemTime,
    /// Where it was printed.
    pub stream: OutputStream,
    /// What was printed: any bytes, not necessarily whole lines or characters.
    pub bytes: Bytes,
}

/// An item of [`Environment::follow`](super::Environment::follow).
#[derive(Debug)]
pub enum FollowEvent {
    /// More output.
    Frame(OutputFrame),
    /// All output has been delivered and the stage ended so. The last item.
    Ended(StageEnd),
    /// The stream broke. The last item; says nothing about the stage: ask `status`, then follow again.
    Broken(EnvironmentError),
}
