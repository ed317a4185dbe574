//! The table at the end.

use std::time::SystemTime;

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

use super::row::{Row, seconds, status, style};
use super::style::Styles;

/// Columns of the timeline.
const BAR: usize = 24;

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
    use runner_coordinator::run::Status;

    use super::{Row, Styles, summary};

    #[test]
    fn a_table() {
        let mut failed = Row::sample("unit: [a]", Status::Failed, Some((6, 12, 24)));
        failed.reason = Some("script_failure".to_owned());
        failed.exit_code = Some(3);
        failed.allowed = true;
        let rows = [
            Row::sample("build", Status::Success, Some((0, 0, 6))),
            failed,
            Row::sample("late", Status::Skipped, None),
        ];
        assert_eq!(
            summary(&rows, Styles { colour: false }),
            "job        stage  status                                         queued  duration\n\
             build      test   success                                         0.0 s     6.0 s  ██████\n\
             unit: [a]  test   failed (script_failure, exit code 3, allowed)   6.0 s    12.0 s        ······████████████\n\
             late       test   skipped\n"
        );
    }
}
