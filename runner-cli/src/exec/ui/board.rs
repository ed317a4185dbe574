//! What stands at the bottom of the terminal while a pipeline runs: a line for each job that runs, one for the pipeline.

use std::time::{Duration, SystemTime};

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

use super::live::{Fixed, Size};
use super::style::Styles;
use super::text::{fitted, shortened};

/// Drawn one after the other, ten a second.
const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// Columns at the end of each line that stay free, for the `^C` that a terminal shows.
const FREE: usize = 3;

/// The least that is left of a name before its stage is left out.
const SHORTEST_NAME: usize = 12;

/// The jobs that run, oldest first.
#[derive(Debug, Default)]
pub(super) struct Board {
    jobs: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    name: String,
    style: Style,
    stage: String,
    since: SystemTime,
}

/// How far a run is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// What runs: `pipeline 7`.
    pub(crate) title: String,
    /// For how long.
    pub(crate) elapsed: Duration,
    pub(crate) jobs: usize,
    pub(crate) done: usize,
    pub(crate) failed: usize,
    pub(crate) waiting: usize,
    pub(crate) manual: usize,
}

impl Board {
    /// A job runs from now on.
    pub(super) fn started(&mut self, name: &str, style: Style, since: SystemTime) {
        self.ended(name);
        self.jobs.push(Running { name: name.to_owned(), style, stage: String::new(), since });
    }

    /// A job has come to this stage.
    pub(super) fn stage(&mut self, name: &str, stage: &str) {
        if let Some(job) = self.jobs.iter_mut().find(|job| job.name == name) {
            stage.clone_into(&mut job.stage);
        }
    }

    /// A job does not run any more.
    pub(super) fn ended(&mut self, name: &str) {
        self.jobs.retain(|job| job.name != name);
    }

    /// The lines, never more than half of the terminal's.
    pub(super) fn lines(
        &self,
        progress: &Progress,
        now: SystemTime,
        size: Size,
        styles: Styles,
    ) -> Vec<Fixed> {
        let limit = size.columns.saturating_sub(FREE).max(1);
        let room = (size.rows / 2).saturating_sub(1);
        let shown = if self.jobs.len() > room { room.saturating_sub(1) } else { self.jobs.len() };
        let (jobs, rest) = self.jobs.split_at(shown);
        let mut lines = self.of_jobs(jobs, progress, now, limit, styles);
        if !rest.is_empty() && room > 0 {
            let mut line = Line::new(limit);
            line.push(styles.faint(), &format!("  … and {} more", rest.len()));
            lines.push(line.fixed);
        }
        lines.push(self.of_pipeline(progress, limit, styles));
        lines
    }

    fn of_jobs(
        &self,
        jobs: &[Running],
        progress: &Progress,
        now: SystemTime,
        limit: usize,
        styles: Styles,
    ) -> Vec<Fixed> {
        let frame = usize::try_from(progress.elapsed.as_millis() / 100).unwrap_or_default();
        let spinner = SPINNER[frame % SPINNER.len()];
        let times: Vec<String> =
            jobs.iter().map(|job| whole(now.duration_since(job.since).unwrap_or_default())).collect();
        let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or_default();
        let time = widest(&mut times.iter().map(|text| text.width()));
        let stage = widest(&mut jobs.iter().map(|job| job.stage.width()));
        let name = widest(&mut jobs.iter().map(|job| job.name.width()));
        // Spinner, name, stage, time, with spaces between them.
        let left = limit.saturating_sub(2 + 2 + time);
        let has_stage = stage > 0 && left >= SHORTEST_NAME.min(name) + 2 + stage;
        let name = name.min(if has_stage { left - 2 - stage } else { left });
        let lines = jobs.iter().zip(times).map(|(job, elapsed)| {
            let mut line = Line::new(limit);
            line.push(job.style, spinner);
            line.push(Style::new(), " ");
            line.column(job.style, &shortened(&job.name, name), name);
            if has_stage {
                line.push(Style::new(), "  ");
                line.column(styles.faint(), &job.stage, stage);
            }
            line.push(Style::new(), "  ");
            line.push(Style::new(), &" ".repeat(time.saturating_sub(elapsed.width())));
            line.push(Style::new(), &elapsed);
            line.fixed
        });
        lines.collect()
    }

    fn of_pipeline(&self, progress: &Progress, limit: usize, styles: Styles) -> Fixed {
        let so_far = format!("{}  {} of {} done", whole(progress.elapsed), progress.done, progress.jobs);
        let counts = [
            (progress.failed, "failed", styles.bad()),
            (self.jobs.len(), "running", Style::new()),
            (progress.waiting, "waiting", styles.faint()),
            (progress.manual, "manual", styles.warning()),
        ];
        let mut parts = vec![
            (styles.head(), progress.title.clone()),
            (Style::new(), "  ".to_owned()),
            (Style::new(), so_far),
        ];
        for (count, what, style) in counts.into_iter().filter(|(count, ..)| *count > 0) {
            parts.push((Style::new(), ", ".to_owned()));
            parts.push((style, format!("{count} {what}")));
        }
        let width: usize = parts.iter().map(|(_, text)| text.width()).sum();
        let mut line = Line::new(limit);
        // The title says the least.
        for (style, text) in parts.into_iter().skip(if width > limit { 2 } else { 0 }) {
            line.push(style, &text);
        }
        line.fixed
    }
}

/// A line that is put together, as far as there is room.
struct Line {
    fixed: Fixed,
    limit: usize,
}

impl Line {
    fn new(limit: usize) -> Self {
        Self { fixed: Fixed::default(), limit }
    }

    fn push(&mut self, style: Style, text: &str) {
        let text = fitted(text, self.limit.saturating_sub(self.fixed.width));
        self.fixed.width += text.width();
        self.fixed.text.push_str(&format!("{style}{text}{style:#}"));
    }

    /// Text and spaces, together so wide.
    fn column(&mut self, style: Style, text: &str, width: usize) {
        self.push(style, text);
        self.push(Style::new(), &" ".repeat(width.saturating_sub(text.width())));
    }
}

/// `12 s`, `3 min 05 s`, `1 h 02 min`.
fn whole(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Styles = Styles { colour: false };

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn board(names: &[&str]) -> Board {
        let mut board = Board::default();
        for name in names {
            board.started(name, Style::new(), at(0));
        }
        board
    }

    fn progress() -> Progress {
        Progress {
            title: "pipeline 7".to_owned(),
            elapsed: Duration::from_millis(65_200),
            jobs: 14,
            done: 3,
            failed: 1,
            waiting: 8,
            manual: 0,
        }
    }

    fn texts(board: &Board, rows: usize, columns: usize) -> Vec<String> {
        let lines = board.lines(&progress(), at(62), Size { rows, columns }, PLAIN);
        for line in &lines {
            assert_eq!(line.text.width(), line.width);
            assert!(line.width <= columns.saturating_sub(FREE).max(1), "{line:?}");
        }
        lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn jobs_and_pipeline() {
        let mut board = board(&["build", "unit: [a]"]);
        board.stage("build", "step_script");
        board.stage("unit: [a]", "get_sources");
        board.started("late", Style::new(), at(60));
        board.ended("build");
        assert_eq!(
            texts(&board, 24, 80),
            [
                "⠹ unit: [a]  get_sources  1 min 02 s",
                "⠹ late                           2 s",
                "pipeline 7  1 min 05 s  3 of 14 done, 1 failed, 2 running, 8 waiting",
            ]
        );
    }

    #[test]
    fn many_jobs_are_summed_up() {
        let names: Vec<String> = (0..20).map(|number| format!("job {number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let lines = texts(&board(&names), 10, 80);
        assert_eq!(lines.len(), 5);
        assert!(lines[2].starts_with("⠹ job 2"), "{lines:?}");
        assert_eq!(lines[3], "  … and 17 more");
        for rows in 0..12 {
            assert!(texts(&board(&names), rows, 80).len() <= (rows / 2).max(1));
        }
    }

    #[test]
    fn narrow_terminals_get_less() {
        let mut board = board(&["構建與測試: [very, long, list, of, values]"]);
        board.stage("構建與測試: [very, long, list, of, values]", "upload_artifacts_on_success");
        assert_eq!(
            texts(&board, 24, 40),
            ["⠹ 構建與測試:…of, values]  1 min 02 s", "1 min 05 s  3 of 14 done, 1 failed, …"]
        );
        for columns in 0..90 {
            texts(&board, 24, columns);
        }
    }
}
