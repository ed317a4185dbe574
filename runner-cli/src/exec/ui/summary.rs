//! The table at the end.

use std::time::{Duration, SystemTime};

use anstyle::Style;
use runner_coordinator::run::Status;
use unicode_width::UnicodeWidthStr;

use super::style::Styles;

/// Columns of the timeline.
const BAR: usize = 24;

/// One job in the table.
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

/// The table, a line for each job.
pub(crate) fn summary(rows: &[Row], styles: Styles) -> String {
    let begin = rows.iter().filter_map(|row| row.queued).min();
    let end = rows.iter().filter_map(|row| row.finished).max();
    let mut table = vec![["job", "stage", "status", "queued", "duration"].map(str::to_owned)];
    table.extend(rows.iter().map(|row| {
        let queued = row.queued.zip(row.started).and_then(|(from, to)| to.duration_since(from).ok());
        let took = row.started.zip(row.finished).and_then(|(from, to)| to.duration_since(from).ok());
        [
            row.name.clone(),
            row.stage.clone(),
            status(row),
            queued.map(seconds).unwrap_or_default(),
            took.map(seconds).unwrap_or_default(),
        ]
    }));
    let width = |column: usize| table.iter().map(|cells| cells[column].width()).max().unwrap_or_default();
    let widths = [0, 1, 2, 3, 4].map(width);
    let mut text = String::new();
    for (line, cells) in table.iter().enumerate() {
        let row = line.checked_sub(1).and_then(|index| rows.get(index));
        let style = row.map_or_else(|| styles.head(), |row| style(row, styles));
        let plain = if row.is_some() { Style::new() } else { styles.head() };
        let [name, stage, status, queued, took] = [0, 1, 2, 3, 4].map(|column| {
            let padding = " ".repeat(widths[column].saturating_sub(cells[column].width()));
            if column < 3 {
                format!("{}{padding}", cells[column])
            } else {
                format!("{padding}{}", cells[column])
            }
        });
        let bar = row.zip(begin).zip(end).map(|((row, begin), end)| bar(row, begin, end)).unwrap_or_default();
        let line = format!(
            "{plain}{name}  {stage}{plain:#}  {style}{status}{style:#}  {plain}{queued}  {took}{plain:#}  {style}{bar}{style:#}"
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
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
    let mut details = Vec::new();
    if row.status == Status::Failed {
        details.extend(row.reason.clone());
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

fn style(row: &Row, styles: Styles) -> Style {
    match row.status {
        Status::Success => styles.good(),
        Status::Failed if row.allowed => styles.warning(),
        Status::Failed | Status::Canceled | Status::Canceling => styles.bad(),
        Status::Manual | Status::Scheduled => styles.warning(),
        _ => styles.faint(),
    }
}

/// When the job waited (dots) and ran (blocks) between the beginning and the end of the pipeline.
fn bar(row: &Row, begin: SystemTime, end: SystemTime) -> String {
    let whole = end.duration_since(begin).unwrap_or_default().as_secs_f64();
    let column = |time: SystemTime| {
        let since = time.duration_since(begin).unwrap_or_default().as_secs_f64();
        let share = if whole > 0.0 { (since / whole).clamp(0.0, 1.0) } else { 0.0 };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and the number of columns"
        )]
        let column = (share * BAR as f64).round() as usize;
        column
    };
    let (Some(queued), Some(started)) = (row.queued, row.started) else { return String::new() };
    let queued = column(queued).min(BAR - 1);
    let started = column(started).clamp(queued, BAR - 1);
    let finished = column(row.finished.unwrap_or(end)).max(started + 1);
    format!("{}{}{}", " ".repeat(queued), "·".repeat(started - queued), "█".repeat(finished - started))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use runner_coordinator::run::Status;

    use super::{Row, Styles, seconds, summary};

    fn row(name: &str, status: Status, times: Option<(u64, u64, u64)>) -> Row {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        Row {
            name: name.to_owned(),
            stage: "test".to_owned(),
            status,
            allowed: false,
            reason: None,
            exit_code: None,
            coverage: None,
            tries: 1,
            queued: times.map(|t| at(t.0)),
            started: times.map(|t| at(t.1)),
            finished: times.map(|t| at(t.2)),
        }
    }

    #[test]
    fn a_table() {
        let mut failed = row("unit: [a]", Status::Failed, Some((6, 12, 24)));
        failed.reason = Some("script_failure".to_owned());
        failed.exit_code = Some(3);
        failed.allowed = true;
        let rows =
            [row("build", Status::Success, Some((0, 0, 6))), failed, row("late", Status::Skipped, None)];
        assert_eq!(
            summary(&rows, Styles { colour: false }),
            "job        stage  status                                         queued  duration\n\
             build      test   success                                         0.0 s     6.0 s  ██████\n\
             unit: [a]  test   failed (script_failure, exit code 3, allowed)   6.0 s    12.0 s        ······████████████\n\
             late       test   skipped\n"
        );
    }

    #[test]
    fn durations() {
        assert_eq!(seconds(Duration::from_millis(1234)), "1.2 s");
        assert_eq!(seconds(Duration::from_secs(185)), "3 min 05 s");
    }
}
