//! The live output.

use std::collections::HashMap;
use std::io::Write;

use unicode_width::UnicodeWidthStr;

use super::clean::clean;
use super::lines::Lines;
use super::style::Styles;

/// Longest part of a job's name that is shown in front of lines.
const LONGEST_NAME: usize = 36;

/// Shows whole lines of several jobs, each with the job's name in front.
///
/// A reader that went away (`| head`) ends the output, not the pipeline.
pub(crate) struct Screen {
    out: Box<dyn Write + Send>,
    styles: Styles,
    width: usize,
    jobs: HashMap<String, Job>,
    closed: bool,
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
        let mut screen = Self { out: Box::new(out), styles, width: 0, jobs: HashMap::new(), closed: false };
        screen.add(names);
        screen
    }

    /// More jobs, which were not known before.
    pub(crate) fn add<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        for name in names {
            let position = self.jobs.len();
            let job = || Job { position, label: shortened(name), lines: Lines::default() };
            let label = &self.jobs.entry(name.to_owned()).or_insert_with(job).label;
            self.width = self.width.max(label.width());
        }
    }

    /// How things look on it.
    pub(crate) fn styles(&self) -> Styles {
        self.styles
    }

    /// Bytes that a job printed.
    pub(crate) fn output(&mut self, job: &str, bytes: &[u8]) {
        let lines = self.jobs.get_mut(job).map(|job| job.lines.push(bytes)).unwrap_or_default();
        self.lines(job, lines);
    }

    /// A job has printed everything.
    pub(crate) fn end_of_output(&mut self, job: &str) {
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
        for line in lines {
            if let Some(line) = clean(&line, self.styles.colour) {
                self.line(job, &line);
            }
        }
    }

    fn line(&mut self, job: &str, text: &str) {
        let (label, style) = match self.jobs.get(job) {
            Some(job) => (job.label.as_str(), self.styles.name(job.position)),
            None => (job, self.styles.faint()),
        };
        let padding = " ".repeat(self.width.saturating_sub(label.width()));
        let line = format!("{style}{label}{padding} |{style:#} {text}");
        self.print(&format!("{}\n", line.trim_end_matches(' ')));
    }

    fn print(&mut self, text: &str) {
        if !self.closed {
            self.closed = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()).is_err();
        }
    }
}

/// A long name keeps its end: there instances of a job differ.
fn shortened(name: &str) -> String {
    let length = name.chars().count();
    if length <= LONGEST_NAME {
        return name.to_owned();
    }
    let head: String = name.chars().take(LONGEST_NAME / 2 - 1).collect();
    let tail: String = name.chars().skip(length - LONGEST_NAME / 2).collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::{Screen, Styles, shortened};

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Paper {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_of_jobs_do_not_mix() {
        let paper = Paper::default();
        let mut screen = Screen::new(paper.clone(), Styles { colour: false }, ["a", "long name"]);
        screen.output("a", b"one\ntw");
        screen.output("long name", b"section_start:1:x\r\x1b[0K\x1b[36;1mother\x1b[0;m\n");
        screen.output("a", b"o\n\nend");
        screen.end_of_output("a");
        screen.remark("a", "done");
        assert_eq!(
            paper.text(),
            "a         | one\nlong name | other\na         | two\na         |\na         | end\na         | done\n"
        );
    }

    #[test]
    fn names_have_colours() {
        let paper = Paper::default();
        let mut screen = Screen::new(paper.clone(), Styles { colour: true }, ["a"]);
        screen.output("a", b"x\n");
        assert_eq!(paper.text(), "\u{1b}[36ma |\u{1b}[0m x\n");
    }

    #[test]
    fn long_names_keep_their_end() {
        let name = format!("{}: [a, b]", "x".repeat(60));
        let short = shortened(&name);
        assert_eq!(short.chars().count(), 36);
        assert!(short.ends_with(": [a, b]"));
    }
}
