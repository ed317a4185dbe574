//! [`Variables`]: the ordered list, expanded.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::expand::expand;
use super::variable::{Variable, is_shell_name};

/// The job's variables in order of precedence, lowest first: of several entries with the same name the last one counts.
///
/// Values are expanded: each one once, against the values as they were before, so that a reference inside of a referenced
/// value stays. Cheap to clone. `Debug` shows names, never values.
///
/// ```
/// use runner_core::variables::{Variable, Variables};
///
/// let list = [Variable::new("A", "$B"), Variable::new("B", "$C"), Variable::new("C", "1")];
/// let variables = Variables::new(list, "/builds/group/project.tmp");
/// assert_eq!(variables.get("A").as_deref(), Some("$C"));
/// assert_eq!(variables.get("B").as_deref(), Some("1"));
/// assert_eq!(variables.expand("b is $B"), "b is 1");
/// ```
#[derive(Clone, Default)]
pub struct Variables {
    list: Arc<[Variable]>,
    temp_dir: Arc<str>,
}

impl Variables {
    /// Expands a list. `temp_dir` is where file variables live; empty while that is not known.
    pub fn new(list: impl IntoIterator<Item = Variable>, temp_dir: &str) -> Self {
        let unexpanded = Self { list: list.into_iter().collect(), temp_dir: temp_dir.into() };
        let expanded = unexpanded.list.iter().map(|variable| {
            if variable.raw {
                variable.clone()
            } else {
                variable.with_value(unexpanded.expand(variable.value()))
            }
        });
        Self { list: expanded.collect(), temp_dir: Arc::clone(&unexpanded.temp_dir) }
    }

    /// What scripts see in `$key`: the value, or for a file variable the path of its file.
    pub fn get(&self, key: &str) -> Option<String> {
        self.find(key).map(|variable| self.seen(variable))
    }

    /// The value; for a file variable the content of its file.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.find(key).map(Variable::value)
    }

    /// The entry that counts for a name.
    pub fn find(&self, key: &str) -> Option<&Variable> {
        self.list.iter().rev().find(|variable| variable.key == key)
    }

    /// Replaces references to variables in a text; references to file variables become paths, unknown ones nothing.
    pub fn expand(&self, text: &str) -> String {
        expand(text, |name| self.get(name))
    }

    /// All entries in order, also those that a later one hides.
    pub fn iter(&self) -> impl Iterator<Item = &Variable> {
        self.list.iter()
    }

    /// The entries that count, each name once, in the order of the list.
    pub fn resolved(&self) -> Vec<&Variable> {
        let mut seen = HashSet::new();
        let mut entries: Vec<_> =
            self.list.iter().rev().filter(|variable| seen.insert(variable.key.as_str())).collect();
        entries.reverse();
        entries
    }

    /// Names that no shell accepts; they do not reach scripts.
    pub fn unusable_names(&self) -> Vec<&str> {
        self.resolved()
            .iter()
            .map(|variable| variable.key.as_str())
            .filter(|key| !is_shell_name(key))
            .collect()
    }

    /// The values of all masked variables, expanded, without surrounding blanks, each once. For a file variable its content.
    pub fn masked_values(&self) -> Vec<&str> {
        let mut seen = HashSet::new();
        let values =
            self.list.iter().filter(|variable| variable.masked).map(|variable| variable.value().trim());
        values.filter(|value| !value.is_empty() && seen.insert(*value)).collect()
    }

    /// The same variables for another state of the job: what the runner said in `CI_JOB_STATUS` is replaced. A job that
    /// sets the variable itself keeps its own value.
    #[must_use]
    pub fn with_job_status(&self, status: JobStatus) -> Self {
        let mut list = self.list.to_vec();
        if let Some(first) = list.iter_mut().find(|variable| variable.key == JOB_STATUS) {
            *first = first.with_value(status.as_str());
        }
        Self { list: list.into(), temp_dir: Arc::clone(&self.temp_dir) }
    }

    /// Where file variables live; empty while that is not known.
    pub fn temp_dir(&self) -> &str {
        &self.temp_dir
    }

    /// Path of the file of a file variable.
    pub fn file_path(&self, key: &str) -> String {
        if self.temp_dir.is_empty() { key.to_owned() } else { format!("{}/{key}", self.temp_dir) }
    }

    /// What scripts see of an entry.
    pub(crate) fn seen(&self, variable: &Variable) -> String {
        if variable.file { self.file_path(&variable.key) } else { variable.value().to_owned() }
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Variables")?;
        f.debug_list().entries(self.list.iter().map(|variable| &variable.key)).finish()
    }
}

/// Name of the variable that tells scripts how the job stands.
pub(crate) const JOB_STATUS: &str = "CI_JOB_STATUS";

/// How the job stands, in the words of `CI_JOB_STATUS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JobStatus {
    /// The steps have not ended.
    #[default]
    Running,
    /// The steps succeeded.
    Success,
    /// A stage failed.
    Failed,
    /// The job was canceled.
    Canceled,
    /// The steps took too long.
    TimedOut,
}

impl JobStatus {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            JobStatus::Running => "running",
            JobStatus::Success => "success",
            JobStatus::Failed => "failed",
            JobStatus::Canceled => "canceled",
            JobStatus::TimedOut => "timedout",
        }
    }
}
