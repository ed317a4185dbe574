//! One job, as tables and reports show it.

use std::time::{Duration, SystemTime};

use anstyle::Style;
use runner_coordinator::run::{JobView, Status};

use super::style::Styles;

/// A job and how its last try went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) stage: String,
    pub(crate) status: Status,
    /// Whether its failure does not count.
    pub(crate) allowed: bool,
    /// Why it failed.
    pub(crate) reason: Option<String>,
    pub(crate) exit_code: Option<i64>,
    /// Coverage in percent that it reported.
    pub(crate) coverage: Option<String>,
    /// How many tries it took.
    pub(crate) tries: usize,
    pub(crate) queued: Option<SystemTime>,
    pub(crate) started: Option<SystemTime>,
    pub(crate) finished: Option<SystemTime>,
}

impl Row {
    /// A job of a pipeline whose jobs' names have this in front.
    pub(crate) fn of(prefix: &str, view: &JobView<'_>, coverage: Option<String>) -> Self {
        let last = view.last_try();
        Self {
            name: format!("{prefix}{}", view.job.name),
            stage: view.job.stage.clone(),
            status: view.status,
            allowed: view.failure_allowed,
            reason: view.failure_reason().map(str::to_owned),
            exit_code: last.and_then(|tried| tried.exit_code),
            coverage,
            tries: view.tries.len(),
            queued: last.map(|tried| tried.queued),
            started: last.and_then(|tried| tried.started),
            finished: last.and_then(|tried| tried.finished),
        }
    }

    /// A row for tests, of stage `test`; `times` are the seconds at which it was queued, started and finished.
    #[cfg(test)]
    pub(crate) fn sample(name: &str, status: Status, times: Option<(u64, u64, u64)>) -> Self {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        Self {
            name: name.to_owned(),
            stage: "test".to_owned(),
            status,
            allowed: false,
            reason: None,
            exit_code: None,
            coverage: None,
            tries: 1,
            queued: times.map(|times| at(times.0)),
            started: times.map(|times| at(times.1)),
            finished: times.map(|times| at(times.2)),
        }
    }
}

/// `1.2 s`, `3 min 05 s`.
pub(crate) fn seconds(duration: Duration) -> String {
    match duration.as_secs() {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        total => format!("{} min {:02} s", total / 60, total % 60),
    }
}

/// The status with its reason, exit code and tries.
pub(crate) fn status(row: &Row) -> String {
    with_details(row, row.reason.as_deref())
}

/// The same without a reason that the exit code says as well.
pub(super) fn brief_status(row: &Row) -> String {
    with_details(row, row.reason.as_deref().filter(|_| row.exit_code.is_none()))
}

fn with_details(row: &Row, reason: Option<&str>) -> String {
    let mut details = Vec::new();
    if row.status == Status::Failed {
        details.extend(reason.map(str::to_owned));
        details.extend(row.exit_code.map(|code| format!("exit code {code}")));
        if row.allowed {
            details.push("allowed".to_owned());
        }
    }
    details.extend(row.coverage.as_ref().map(|percent| format!("coverage {percent}%")));
    if row.tries > 1 {
        details.push(format!("{} tries", row.tries));
    }
    if details.is_empty() {
        row.status.to_string()
    } else {
        format!("{} ({})", row.status, details.join(", "))
    }
}

/// How its status looks.
pub(super) fn style(row: &Row, styles: Styles) -> Style {
    match row.status {
        Status::Success => styles.good(),
        Status::Failed if row.allowed => styles.warning(),
        Status::Failed | Status::Canceled | Status::Canceling => styles.bad(),
        Status::Manual | Status::Scheduled => styles.warning(),
        _ => styles.faint(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::seconds;

    #[test]
    fn durations() {
        assert_eq!(seconds(Duration::from_millis(1234)), "1.2 s");
        assert_eq!(seconds(Duration::from_secs(185)), "3 min 05 s");
    }
}
