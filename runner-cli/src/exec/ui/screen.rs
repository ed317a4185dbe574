//! The live output.

use std::collections::HashMap;
use std::io::Write;
use std::time::SystemTime;

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

use super::board::{Board, Progress};
use super::clean::clean;
use super::lines::Lines;
use super::live::Live;
use super::style::Styles;
use super::text::shortened;

/// Most columns of a job's name in front of lines, and on a narrow terminal the least that it may have.
const LONGEST_NAME: usize = 36;
const SHORTEST_NAME: usize = 8;

/// Shows whole lines of several jobs, each with the job's name in front.
///
/// A reader that went away (`| head`) ends the output, not the pipeline.
pub(crate) struct Screen {
    out: Out,
    styles: Styles,
    longest_name: usize,
    width: usize,
    jobs: HashMap<String, Job>,
    board: Board,
    closed: bool,
}

enum Out {
    /// Lines, one after the other.
    Plain(Box<dyn Write + Send>),
    /// A terminal that shows what runs below them.
    Live(Live),
}

struct Job {
    position: usize,
    label: String,
    lines: Lines,
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screen")
            .field("styles", &self.styles)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

impl Screen {
    /// A screen for jobs with these names.
    pub(crate) fn new<'a>(
        out: impl Write + Send + 'static,
        styles: Styles,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        Self::with(Out::Plain(Box::new(out)), styles, LONGEST_NAME, names)
    }

    /// The same on a terminal that also shows what runs.
    pub(crate) fn live<'a>(live: Live, styles: Styles, names: impl IntoIterator<Item = &'a str>) -> Self {
        let longest_name = (live.size().columns / 3).clamp(SHORTEST_NAME, LONGEST_NAME);
        Self::with(Out::Live(live), styles, longest_name, names)
    }

    fn with<'a>(
        out: Out,
        styles: Styles,
        longest_name: usize,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let (jobs, board) = (HashMap::new(), Board::default());
        let mut screen = Self { out, styles, longest_name, width: 0, jobs, board, closed: false };
        screen.add(names);
        screen
    }

    /// More jobs, which were not known before.
    pub(crate) fn add<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        for name in names {
            let position = self.jobs.len();
            let job = || Job { position, label: shortened(name, self.longest_name), lines: Lines::default() };
            let label = &self.jobs.entry(name.to_owned()).or_insert_with(job).label;
            self.width = self.width.max(label.width());
        }
    }

    /// How things look on it.
    pub(crate) fn styles(&self) -> Styles {
        self.styles
    }

    /// Whether it shows what runs, so that [`refresh`](Self::refresh) has to be called now and then.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.out, Out::Live(_)) && !self.closed
    }

    /// Columns of the terminal; `None`: lines may be as long as they are.
    pub(crate) fn columns(&self) -> Option<usize> {
        match &self.out {
            Out::Plain(_) => None,
            Out::Live(live) => Some(live.size().columns),
        }
    }

    /// A job runs from now on.
    pub(crate) fn started(&mut self, job: &str, since: SystemTime) {
        let style = self.jobs.get(job).map_or_else(Style::new, |job| self.styles.name(job.position));
        self.board.started(job, style, since);
    }

    /// A running job has come to this stage.
    pub(crate) fn stage(&mut self, job: &str, stage: &str) {
        self.board.stage(job, stage);
    }

    /// Shows how far everything is.
    pub(crate) fn refresh(&mut self, progress: &Progress, now: SystemTime) {
        if let Out::Live(live) = &mut self.out
            && !self.closed
        {
            let lines = self.board.lines(progress, now, live.size(), self.styles);
            self.closed = live.show(lines).is_err();
        }
    }

    /// Shows nothing below the lines, until the next [`refresh`](Self::refresh).
    pub(crate) fn rest(&mut self) {
        if let Out::Live(live) = &mut self.out
            && !self.closed
        {
            self.closed = live.show(Vec::new()).is_err();
        }
    }

    /// Bytes that a job printed.
    pub(crate) fn output(&mut self, job: &str, bytes: &[u8]) {
        let lines = self.jobs.get_mut(job).map(|job| job.lines.push(bytes)).unwrap_or_default();
        self.lines(job, lines);
    }

    /// A job has printed everything, and does not run any more.
    pub(crate) fn ended(&mut self, job: &str) {
        self.board.ended(job);
        let last = self.jobs.get_mut(job).and_then(|job| job.lines.finish());
        self.lines(job, last);
    }

    /// Something about a job that the job did not print itself.
    pub(crate) fn remark(&mut self, job: &str, text: &str) {
        let style = self.styles.faint();
        self.line(job, &format!("{style}{text}{style:#}"));
    }

    /// Something about the whole pipeline.
    pub(crate) fn say(&mut self, text: &str) {
        self.print(&format!("{text}\n"));
    }

    fn lines(&mut self, job: &str, lines: impl IntoIterator<Item = String>) {
        let cleaned = lines.into_iter().filter_map(|line| clean(&line, self.styles.colour));
        let text: String = cleaned.map(|line| self.labelled(job, &line)).collect();
        self.print(&text);
    }

    fn line(&mut self, job: &str, text: &str) {
        let line = self.labelled(job, text);
        self.print(&line);
    }

    fn labelled(&self, job: &str, text: &str) -> String {
        let (label, style) = match self.jobs.get(job) {
            Some(job) => (job.label.as_str(), self.styles.name(job.position)),
            None => (job, self.styles.faint()),
        };
        let padding = " ".repeat(self.width.saturating_sub(label.width()));
        let line = format!("{style}{label}{padding} |{style:#} {text}");
        format!("{}\n", line.trim_end_matches(' '))
    }

    fn print(&mut self, text: &str) {
        if self.closed || text.is_empty() {
            return;
        }
        let printed = match &mut self.out {
            Out::Plain(out) => out.write_all(text.as_bytes()).and_then(|()| out.flush()),
            Out::Live(live) => live.print(text),
        };
        self.closed = printed.is_err();
    }
}

#[cfg(test)]
mod tests {
    use super::{Screen, Styles};
    use crate::exec::ui::paper::Paper;

    #[test]
    fn lines_of_jobs_do_not_mix() {
        let paper = Paper::default();
        let mut screen = Screen::new(paper.clone(), Styles { colour: false }, ["a", "long name"]);
        screen.output("a", b"one\ntw");
        screen.output("long name", b"section_start:1:x\r\x1b[0K\x1b[36;1mother\x1b[0;m\n");
        screen.output("a", b"o\n\nend");
        screen.ended("a");
        screen.remark("a", "done");
        assert_eq!(
            paper.take(),
            "a         | one\nlong name | other\na         | two\na         |\na         | end\na         | done\n"
        );
    }

    #[test]
    fn names_have_colours() {
        let paper = Paper::default();
        let mut screen = Screen::new(paper.clone(), Styles { colour: true }, ["a"]);
        screen.output("a", b"x\n");
        assert_eq!(paper.take(), "\u{1b}[36ma |\u{1b}[0m x\n");
    }
}
