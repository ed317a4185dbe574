//! What lines that the runner writes look like.
//!
//! Source: GitLab's documentation, "Job logs", for the section markers; the colours are those that GitLab's own runner uses.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

const CLEAR: &str = "\x1b[0K";
const RESET: &str = "\x1b[0;m";
const BOLD_GREEN: &str = "\x1b[32;1m";
const BOLD_CYAN: &str = "\x1b[36;1m";
const BOLD_RED: &str = "\x1b[31;1m";
const YELLOW: &str = "\x1b[0;33m";

/// Kinds of lines that the runner writes into a job's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// Without colour.
    Plain,
    /// Good news and progress, green.
    Info,
    /// `WARNING: `, yellow.
    Warning,
    /// `ERROR: `, red.
    Error,
    /// What a section is about, cyan.
    Headline,
}

/// A line with its colours and its end.
pub(super) fn line(kind: LineKind, text: &[u8]) -> Vec<u8> {
    let (before, after) = match kind {
        LineKind::Plain => (CLEAR.to_owned(), RESET),
        LineKind::Info => (BOLD_GREEN.to_owned(), RESET),
        LineKind::Warning => (format!("{YELLOW}WARNING: "), RESET),
        LineKind::Error => (format!("{BOLD_RED}ERROR: "), RESET),
        LineKind::Headline => (format!("{CLEAR}{BOLD_CYAN}"), "\x1b[0;m\x1b[0;m"),
    };
    [before.as_bytes(), text, after.as_bytes(), b"\n"].concat()
}

/// Marks where a section begins; what follows on the same line is its head.
pub(super) fn section_start(time: SystemTime, name: &str) -> String {
    format!("section_start:{}:{}\r{CLEAR}", unix(time), section_name(name))
}

/// Marks where a section ends.
pub(super) fn section_end(time: SystemTime, name: &str) -> String {
    format!("section_end:{}:{}\r{CLEAR}", unix(time), section_name(name))
}

fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The name of a stage may come from the server; in a marker it must not end the marker. Options in brackets may follow it.
fn section_name(name: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "_.-[]=,".contains(c);
    name.chars().map(|c| if safe(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn lines_look_like_those_that_gitlab_knows() {
        for (kind, expected) in [
            (LineKind::Plain, "\x1b[0Ktext\x1b[0;m\n"),
            (LineKind::Info, "\x1b[32;1mtext\x1b[0;m\n"),
            (LineKind::Warning, "\x1b[0;33mWARNING: text\x1b[0;m\n"),
            (LineKind::Error, "\x1b[31;1mERROR: text\x1b[0;m\n"),
            (LineKind::Headline, "\x1b[0K\x1b[36;1mtext\x1b[0;m\x1b[0;m\n"),
        ] {
            assert_eq!(String::from_utf8(line(kind, b"text")).unwrap(), expected);
        }
    }

    #[test]
    fn markers_carry_seconds_and_a_safe_name() {
        let time = UNIX_EPOCH + Duration::from_millis(1_500_999);
        assert_eq!(section_start(time, "get_sources"), "section_start:1500:get_sources\r\x1b[0K");
        assert_eq!(
            section_start(time, "section_script_step_0[hide_duration=true,collapsed=true]"),
            "section_start:1500:section_script_step_0[hide_duration=true,collapsed=true]\r\x1b[0K"
        );
        assert_eq!(section_end(time, "a\rb c"), "section_end:1500:a_b_c\r\x1b[0K");
    }
}
