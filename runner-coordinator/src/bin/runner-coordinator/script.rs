//! What happens when: one JSON object in each line of a file.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use runner_coordinator::core::{Event, EventKind, NewJob, RunnerId};
use runner_coordinator::fault::Fault;
use runner_coordinator::http::Handle;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::jobs::new_job;

/// The steps that are still to be done.
#[derive(Debug)]
pub(crate) struct Script {
    start: Instant,
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    /// What must have happened first, and has not yet.
    when: Option<When>,
    /// Time since that, or since the start.
    after: Duration,
    /// When it is due, once that is known.
    due: Option<Instant>,
    action: Action,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    when: Option<When>,
    #[serde(default)]
    at: Option<String>,
    r#do: Do,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct When {
    job: u64,
    is: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    Assigned,
    Running,
    Finished,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Do {
    Enqueue(Value),
    Cancel {
        job: u64,
        #[serde(default)]
        force: bool,
    },
    Fail {
        job: u64,
        reason: String,
    },
    Erase {
        job: u64,
    },
    Watch {
        job: u64,
        watched: bool,
    },
    LockTrace {
        job: u64,
        locked: bool,
    },
    Pause {
        runner: u64,
    },
    Resume {
        runner: u64,
    },
    Orphan {
        runner: u64,
    },
    DeleteRunner {
        runner: u64,
    },
    Fault(String),
    ClearFaults,
    Down,
    Up,
}

/// A [`Do`] whose texts have been understood.
#[derive(Debug)]
enum Action {
    Enqueue(NewJob),
    Fault(Fault),
    Other(Do),
}

/// A script that cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScriptError {
    #[error("read the script {path}", path = .0.display())]
    File(PathBuf, #[source] io::Error),
    #[error("line {line} of the script {path}", path = path.display())]
    Line {
        path: PathBuf,
        line: usize,
        #[source]
        source: LineError,
    },
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineError {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Fault(#[from] runner_coordinator::fault::FaultError),
    #[error("`{0}` is no time; write 500ms, 5s or 2m")]
    Time(String),
}

impl Script {
    /// A script without steps.
    pub(crate) fn empty() -> Self {
        Self { start: Instant::now(), steps: Vec::new() }
    }

    /// Reads a script. Its time begins now.
    pub(crate) fn read(path: &Path) -> Result<Self, ScriptError> {
        let text =
            std::fs::read_to_string(path).map_err(|error| ScriptError::File(path.to_owned(), error))?;
        let start = Instant::now();
        let steps = text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
            .map(|(index, line)| {
                let wrong = |source| ScriptError::Line { path: path.to_owned(), line: index + 1, source };
                step(line, start).map_err(wrong)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { start, steps })
    }

    /// Whether everything that can still happen has been done.
    pub(crate) fn is_over(&self) -> bool {
        self.steps.is_empty()
    }

    /// Sets the time of the steps that waited for this event.
    pub(crate) fn see(&mut self, event: &Event) {
        let (job, stages): (_, &[Stage]) = match event.kind {
            EventKind::JobAssigned { job, .. } => (job, &[Stage::Assigned]),
            EventKind::JobStarted { job } => (job, &[Stage::Running]),
            EventKind::JobFinished { job, .. } => (job, &[Stage::Finished]),
            _ => return,
        };
        for step in &mut self.steps {
            if step.when.is_some_and(|when| when.job == job.0 && stages.contains(&when.is)) {
                step.when = None;
                step.due = Some(Instant::now() + step.after);
            }
        }
        // What would need a job to begin that has ended cannot happen any more.
        if let EventKind::JobFinished { job, .. } = event.kind {
            self.steps.retain(|step| step.when.is_none_or(|when| when.job != job.0));
        }
    }

    /// Waits for the next step that is due. Cancel-safe.
    pub(crate) async fn due(&self) {
        match self.steps.iter().filter_map(|step| step.due).min() {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    /// Does what is due, in the order of its times; the jobs that were enqueued.
    pub(crate) fn run(&mut self, handle: &Handle) -> Vec<runner_coordinator::core::JobId> {
        let now = Instant::now();
        let steps = std::mem::take(&mut self.steps);
        let (mut due, rest): (Vec<_>, Vec<_>) =
            steps.into_iter().partition(|step| step.due.is_some_and(|due| due <= now));
        self.steps = rest;
        due.sort_by_key(|step| step.due);
        tracing::debug!(steps = due.len(), since_start = ?now - self.start, "the script goes on");
        due.into_iter().filter_map(|step| step.action.run(handle)).collect()
    }
}

impl Action {
    fn run(self, handle: &Handle) -> Option<runner_coordinator::core::JobId> {
        let other = match self {
            Self::Enqueue(job) => return Some(handle.enqueue(job)),
            Self::Fault(fault) => {
                handle.add_fault(fault);
                return None;
            }
            Self::Other(other) => other,
        };
        handle.with(|coordinator, now| match other {
            Do::Enqueue(_) | Do::Fault(_) => {}
            Do::Cancel { job, force } => drop(coordinator.cancel(job.into(), force, now)),
            Do::Fail { job, reason } => coordinator.fail(job.into(), &reason, now),
            Do::Erase { job } => coordinator.erase(job.into()),
            Do::Watch { job, watched } => coordinator.watch(job.into(), watched),
            Do::LockTrace { job, locked } => coordinator.lock_trace(job.into(), locked),
            Do::Pause { runner } => coordinator.pause(RunnerId(runner), true),
            Do::Resume { runner } => coordinator.pause(RunnerId(runner), false),
            Do::Orphan { runner } => coordinator.orphan(RunnerId(runner)),
            Do::DeleteRunner { runner } => coordinator.delete_runner(RunnerId(runner)),
            Do::ClearFaults => coordinator.clear_faults(),
            Do::Down => coordinator.set_down(true),
            Do::Up => coordinator.set_down(false),
        });
        None
    }
}

fn step(line: &str, start: Instant) -> Result<Step, LineError> {
    let Line { when, at, r#do } = serde_json::from_str(line)?;
    let after = match at {
        Some(at) => time(&at).ok_or(LineError::Time(at))?,
        None => Duration::ZERO,
    };
    let action = match r#do {
        Do::Enqueue(value) => Action::Enqueue(new_job(value)?),
        Do::Fault(rule) => Action::Fault(rule.parse()?),
        other => Action::Other(other),
    };
    Ok(Step { when, after, due: when.is_none().then(|| start + after), action })
}

/// `500ms`, `5s`, `2m`.
fn time(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|char: char| !char.is_ascii_digit());
    let count: u64 = digits.parse().ok()?;
    match text.get(digits.len()..)? {
        "ms" => Some(Duration::from_millis(count)),
        "s" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_secs(count.checked_mul(60)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(line: &str) -> String {
        step(line, Instant::now()).unwrap_err().to_string()
    }

    #[test]
    fn lines_are_understood() {
        for line in [
            r#"{"at": "5s", "do": {"cancel": {"job": 1}}}"#,
            r#"{"when": {"job": 2, "is": "running"}, "at": "500ms", "do": {"cancel": {"job": 2, "force": true}}}"#,
            r#"{"do": {"enqueue": {"job_info": {}}}}"#,
            r#"{"at": "1m", "do": {"fault": "patch_trace:*:503"}}"#,
            r#"{"at": "1m", "do": "clear_faults"}"#,
            r#"{"do": "down"}"#,
            r#"{"do": {"lock_trace": {"job": 1, "locked": true}}}"#,
        ] {
            assert!(step(line, Instant::now()).is_ok(), "{line}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        assert!(problem("{").contains("EOF"));
        assert!(problem(r#"{"do": "sing"}"#).contains("unknown variant `sing`"));
        assert!(problem(r#"{"at": "5", "do": "up"}"#).contains("`5` is no time"));
        assert!(problem(r#"{"do": {"cancel": {"jobs": 1}}}"#).contains("jobs"));
        assert!(problem(r#"{"do": {"fault": "x:1:503"}}"#).contains("x:1:503"));
        assert!(problem(r#"{"do": {"enqueue": {"payload": 1}}}"#).contains("invalid type"));
    }
}
