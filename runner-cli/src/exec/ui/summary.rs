//! The table at the end.

use std::time::SystemTime;

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

use super::row::{Row, brief_status, seconds, status, style};
use super::style::Styles;
use super::text::{fitted, shortened};

/// Columns of the timeline, and the least that says anything.
const BAR: usize = 24;
const SHORTEST_BAR: usize = 8;

/// The least that is left of a name and of a status.
const SHORTEST_CELL: usize = 8;

/// What of a row is shown.
#[derive(Debug, Clone, Copy)]
struct Layout {
    /// Columns that the names may take.
    name: usize,
    stage: bool,
    /// Every detail of the status.
    full: bool,
    /// Columns that the status may take.
    status: usize,
    queued: bool,
    /// Columns of the timeline.
    bar: usize,
}

/// The table, a line for each job. In a terminal of so many columns, what matters less is left out so that lines fit.
pub(crate) fn summary(rows: &[Row], styles: Styles, columns: Option<usize>) -> String {
    let everything =
        Layout { name: usize::MAX, stage: true, full: true, status: usize::MAX, queued: true, bar: BAR };
    let layout = columns.map_or(everything, |columns| fitting(rows, everything, columns));
    let table = cells(rows, layout);
    let widths = widths(&table);
    let begin = rows.iter().filter_map(|row| row.queued).min();
    let end = rows.iter().filter_map(|row| row.finished).max();
    let mut text = String::new();
    for (line, cells) in table.iter().enumerate() {
        let row = line.checked_sub(1).and_then(|index| rows.get(index));
        let style = row.map_or_else(|| styles.head(), |row| style(row, styles));
        let plain = if row.is_some() { Style::new() } else { styles.head() };
        let mut shown = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            let padding = " ".repeat(width.saturating_sub(cell.text.width()));
            let style = if cell.is_status { style } else { plain };
            let (before, after) =
                if cell.right { (padding, String::new()) } else { (String::new(), padding) };
            shown.push_str(&format!("{style}{before}{}{after}{style:#}  ", cell.text));
        }
        let bar = row.zip(begin).zip(end).map(|((row, begin), end)| bar(row, begin, end, layout.bar));
        shown.push_str(&format!("{style}{}{style:#}", bar.unwrap_or_default()));
        text.push_str(shown.trim_end());
        text.push('\n');
    }
    text
}

/// The most that fits; if nothing does, the least.
fn fitting(rows: &[Row], everything: Layout, columns: usize) -> Layout {
    let brief = Layout { full: false, ..everything };
    let without_queue = Layout { queued: false, ..brief };
    let layouts = [everything, brief, without_queue, Layout { stage: false, ..without_queue }];
    let width = |layout: Layout| widths(&cells(rows, layout)).iter().map(|width| width + 2).sum::<usize>();
    for layout in layouts {
        let left = columns.saturating_sub(width(layout) + 1);
        if left >= SHORTEST_BAR {
            return Layout { bar: left.min(BAR), ..layout };
        }
    }
    let least = Layout { stage: false, bar: 0, ..without_queue };
    let too_much = width(least).saturating_sub(columns);
    let widths = widths(&cells(rows, least));
    let [name, status, ..] = *widths else { return least };
    let shorter = name.saturating_sub(too_much).max(SHORTEST_CELL.min(name));
    let still_too_much = too_much.saturating_sub(name - shorter);
    Layout { name: shorter, status: status.saturating_sub(still_too_much).max(SHORTEST_CELL), ..least }
}

#[derive(Debug)]
struct Cell {
    text: String,
    right: bool,
    is_status: bool,
}

/// The head and a line for each job.
fn cells(rows: &[Row], layout: Layout) -> Vec<Vec<Cell>> {
    let left = |text: String| Cell { text, right: false, is_status: false };
    let right = |text: String| Cell { text, right: true, is_status: false };
    let line = |[name, stage, status, queued, took]: [String; 5]| {
        let mut line = vec![left(name)];
        line.extend(layout.stage.then(|| left(stage)));
        line.push(Cell { text: status, right: false, is_status: true });
        line.extend(layout.queued.then(|| right(queued)));
        line.push(right(took));
        line
    };
    let mut table = vec![line(["job", "stage", "status", "queued", "duration"].map(str::to_owned))];
    table.extend(rows.iter().map(|row| {
        let queued = row.queued.zip(row.started).and_then(|(from, to)| to.duration_since(from).ok());
        let took = row.started.zip(row.finished).and_then(|(from, to)| to.duration_since(from).ok());
        line([
            shortened(&row.name, layout.name),
            row.stage.clone(),
            fitted(&if layout.full { status(row) } else { brief_status(row) }, layout.status),
            queued.map(seconds).unwrap_or_default(),
            took.map(seconds).unwrap_or_default(),
        ])
    }));
    table
}

/// The widest cell of each column.
fn widths(table: &[Vec<Cell>]) -> Vec<usize> {
    let columns = table.first().map_or(0, Vec::len);
    let width =
        |column: usize| table.iter().filter_map(|line| line.get(column)).map(|cell| cell.text.width()).max();
    (0..columns).map(|column| width(column).unwrap_or_default()).collect()
}

/// When the job waited (dots) and ran (blocks) between the beginning and the end of the pipeline.
fn bar(row: &Row, begin: SystemTime, end: SystemTime, columns: usize) -> String {
    let Some(last) = columns.checked_sub(1) else { return String::new() };
    let whole = end.duration_since(begin).unwrap_or_default().as_secs_f64();
    let column = |time: SystemTime| {
        let since = time.duration_since(begin).unwrap_or_default().as_secs_f64();
        let share = if whole > 0.0 { (since / whole).clamp(0.0, 1.0) } else { 0.0 };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and the number of columns"
        )]
        let column = (share * columns as f64).round() as usize;
        column
    };
    let (Some(queued), Some(started)) = (row.queued, row.started) else { return String::new() };
    let queued = column(queued).min(last);
    let started = column(started).clamp(queued, last);
    let finished = column(row.finished.unwrap_or(end)).max(started + 1);
    format!("{}{}{}", " ".repeat(queued), "·".repeat(started - queued), "█".repeat(finished - started))
}

#[cfg(test)]
mod tests {
    use runner_coordinator::run::Status;

    use unicode_width::UnicodeWidthStr;

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
            summary(&rows, Styles { colour: false }, None),
            "job        stage  status                                         queued  duration\n\
             build      test   success                                         0.0 s     6.0 s  ██████\n\
             unit: [a]  test   failed (script_failure, exit code 3, allowed)   6.0 s    12.0 s        ······████████████\n\
             late       test   skipped\n"
        );
    }

    #[test]
    fn a_table_for_a_terminal() {
        let mut failed = Row::sample("unit: [linux, stable]", Status::Failed, Some((6, 12, 24)));
        failed.reason = Some("script_failure".to_owned());
        failed.exit_code = Some(3);
        failed.allowed = true;
        let rows = [Row::sample("build", Status::Success, Some((0, 0, 6))), failed];
        let shown = |columns| summary(&rows, Styles { colour: false }, Some(columns));
        assert_eq!(
            shown(80),
            "job                    stage  status                         duration\n\
             build                  test   success                           6.0 s  ██\n\
             unit: [linux, stable]  test   failed (exit code 3, allowed)    12.0 s    ··████\n"
        );
        assert_eq!(
            shown(40),
            "job       status              duration\n\
             build     success                6.0 s\n\
             uni…ble]  failed (exit code…    12.0 s\n"
        );
        for columns in 32..140 {
            for line in shown(columns).lines() {
                assert!(line.width() <= columns, "{columns}: {line}");
            }
        }
    }
}
