//! A job's log as HTML: its colours, its sections to open and close.

use ansi_to_html::Converter;

use crate::exec::graph::escaped;
use crate::exec::ui::{Lines, Marker, clean, markers};

/// Sections within sections, at most: what lies deeper belongs to the last of these.
const DEEPEST: usize = 8;

/// Sections that the runner makes around the script. Of a job that went well nobody wants to read them.
const AROUND: [&str; 11] = [
    "prepare_executor",
    "prepare_script",
    "get_sources",
    "clear_worktree",
    "restore_cache",
    "download_artifacts",
    "archive_cache",
    "archive_cache_on_failure",
    "upload_artifacts_on_success",
    "upload_artifacts_on_failure",
    "cleanup_file_variables",
];

/// A part of a log between two markers.
#[derive(Debug, Default)]
struct Section {
    name: String,
    /// The line with the marker; what the section is about.
    head: String,
    begun: u64,
    /// Seconds that it took; `None` when its end is missing.
    took: Option<u64>,
    collapsed: bool,
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Lines(String),
    Section(Section),
}

/// The log with its colours. With `all`, the runner's own sections are open, too.
pub(super) fn html(log: &[u8], all: bool) -> String {
    let mut page = String::with_capacity(log.len() * 2);
    write(&mut page, &read(log), all);
    page
}

/// The whole log as a section without a name.
fn read(log: &[u8]) -> Section {
    let mut stack = vec![Section::default()];
    let mut lines = Lines::default();
    for line in lines.push(log).into_iter().chain(lines.finish()) {
        let mut started = false;
        for marker in markers(&line) {
            match marker {
                Marker::Start { time, name, collapsed } if stack.len() <= DEEPEST => {
                    stack.push(Section { name, begun: time, collapsed, ..Section::default() });
                    started = true;
                }
                Marker::End { time, name } => {
                    end(&mut stack, &name, time);
                    started = false;
                }
                Marker::Start { .. } => {}
            }
        }
        let Some(text) = clean(&line, true) else { continue };
        let Some(section) = stack.last_mut() else { continue };
        if started {
            section.head = text;
        } else {
            section.add(&text);
        }
    }
    while stack.len() > 1 {
        fold(&mut stack);
    }
    stack.pop().unwrap_or_default()
}

/// Ends the innermost section of this name, with all that are open within it.
fn end(stack: &mut Vec<Section>, name: &str, time: u64) {
    let Some(at) = stack.iter().skip(1).rposition(|section| section.name == name) else { return };
    while stack.len() > at + 2 {
        fold(stack);
    }
    if let Some(section) = stack.last_mut() {
        section.took = Some(time.saturating_sub(section.begun));
    }
    fold(stack);
}

/// Puts the innermost section into the one around it.
fn fold(stack: &mut Vec<Section>) {
    if let Some(section) = stack.pop()
        && let Some(around) = stack.last_mut()
    {
        around.parts.push(Part::Section(section));
    }
}

impl Section {
    fn add(&mut self, line: &str) {
        if !matches!(self.parts.last(), Some(Part::Lines(_))) {
            self.parts.push(Part::Lines(String::new()));
        }
        if let Some(Part::Lines(lines)) = self.parts.last_mut() {
            lines.push_str(line);
            lines.push('\n');
        }
    }

    fn is_open(&self, all: bool) -> bool {
        !self.collapsed && (all || !AROUND.contains(&self.name.as_str()))
    }
}

fn write(page: &mut String, section: &Section, all: bool) {
    for part in &section.parts {
        match part {
            Part::Lines(lines) => {
                page.push_str("<pre>");
                page.push_str(&coloured(lines));
                page.push_str("</pre>\n");
            }
            Part::Section(inner) => {
                page.push_str(if inner.is_open(all) {
                    "<details open><summary>"
                } else {
                    "<details><summary>"
                });
                let head = if inner.head.trim().is_empty() { &inner.name } else { &inner.head };
                page.push_str(&coloured(head));
                if let Some(took) = inner.took {
                    page.push_str(&format!("<time>{}</time>", clock(took)));
                }
                page.push_str("</summary>\n");
                write(page, inner, all);
                page.push_str("</details>\n");
            }
        }
    }
}

/// Text with sequences for colours, as HTML.
fn coloured(text: &str) -> String {
    let converter = Converter::new();
    converter.convert(text).unwrap_or_else(|_| {
        // A colour that cannot be read costs its line the colours, not the others theirs.
        let line = |line: &str| converter.convert(line).unwrap_or_else(|_| escaped(&plain(line)));
        text.split_inclusive('\n').map(line).collect()
    })
}

fn plain(line: &str) -> String {
    let (text, end) = line.strip_suffix('\n').map_or((line, ""), |text| (text, "\n"));
    clean(text, false).unwrap_or_default() + end
}

/// `01:05`, `2:00:00`.
fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes:02}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html_of(log: &str) -> String {
        html(log.as_bytes(), false)
    }

    #[test]
    fn sections_can_be_closed() {
        let log = "Running\n\
            section_start:100:get_sources\r\u{1b}[0K\u{1b}[36;1mGetting\u{1b}[0;m\n\
            fetched\n\
            section_end:103:get_sources\r\u{1b}[0Ksection_start:103:step_script\r\u{1b}[0KExecuting\n\
            $ make\n\
            section_start:104:mine[collapsed=true]\r\u{1b}[0KMy part\n\
            inside\n\
            section_end:105:mine\r\u{1b}[0K\n\
            done\n\
            section_end:168:step_script\r\u{1b}[0KJob succeeded\n";
        assert_eq!(
            html_of(log),
            "<pre>Running\n</pre>\n\
             <details><summary><span style='color:var(--cyan,#0aa)'><b>Getting</b></span><time>00:03</time></summary>\n\
             <pre>fetched\n</pre>\n</details>\n\
             <details open><summary>Executing<time>01:05</time></summary>\n<pre>$ make\n</pre>\n\
             <details><summary>My part<time>00:01</time></summary>\n<pre>inside\n</pre>\n</details>\n\
             <pre>done\n</pre>\n</details>\n<pre>Job succeeded\n</pre>\n"
        );
        assert!(html(log.as_bytes(), true).starts_with("<pre>Running\n</pre>\n<details open><summary>"));
    }

    #[test]
    fn markers_that_do_not_fit_lose_no_line() {
        // An end without a start, a start without an end, ends in the wrong order, more levels than one wants.
        let log = "section_end:1:gone\r\u{1b}[0K\na\nsection_start:1:x\r\u{1b}[0KX\nb\nsection_start:2:y\r\u{1b}[0KY\nc\n\
            section_end:3:x\r\u{1b}[0K\nd\nsection_end:3:y\r\u{1b}[0K\nsection_start:4:z\r\u{1b}[0K\ne\n";
        assert_eq!(
            html_of(log),
            "<pre>a\n</pre>\n<details open><summary>X<time>00:02</time></summary>\n<pre>b\n</pre>\n\
             <details open><summary>Y</summary>\n<pre>c\n</pre>\n</details>\n</details>\n<pre>d\n</pre>\n\
             <details open><summary>z</summary>\n<pre>e\n</pre>\n</details>\n"
        );
        let deep: String =
            (0..10_000).map(|level| format!("section_start:1:s{level}\r\u{1b}[0KL{level}\n")).collect();
        let page = html_of(&deep);
        assert_eq!(page.matches("<details").count(), DEEPEST);
        assert!(page.contains("L9999"), "no line is lost");
    }

    #[test]
    fn a_colour_that_cannot_be_read_costs_its_line() {
        let page = html_of("\u{1b}[38;7;1mwrong <x>\u{1b}[0m\n\u{1b}[31mright\u{1b}[0m\n");
        assert_eq!(page, "<pre>wrong &lt;x&gt;\n<span style='color:var(--red,#a00)'>right</span>\n</pre>\n");
    }

    #[test]
    fn long_times_have_hours() {
        assert_eq!((clock(65), clock(7200)), ("01:05".to_owned(), "2:00:00".to_owned()));
    }
}
