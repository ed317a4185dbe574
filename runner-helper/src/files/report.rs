//! Log lines as GitLab Runner's helper writes them.

use std::fmt::{Display, Write as _};
use std::io::Write;

const RED: &str = "\x1b[31;1m";
const YELLOW: &str = "\x1b[0;33m";
const RESET: &str = "\x1b[0;m";

/// Up to this column the text is padded when fields follow.
const TEXT_WIDTH: usize = 50;

/// Key and value pairs behind a line's text.
pub(crate) type Fields<'f> = &'f [(&'static str, &'f dyn Display)];

/// Writes log lines. A log that cannot be written is no reason to stop.
pub(crate) struct Report<'a> {
    log: &'a mut dyn Write,
}

impl<'a> Report<'a> {
    pub(crate) fn new(log: &'a mut dyn Write) -> Self {
        Self { log }
    }

    pub(crate) fn info(&mut self, text: impl Display) {
        self.info_with(text, &[]);
    }

    pub(crate) fn info_with(&mut self, text: impl Display, fields: Fields<'_>) {
        self.line("", "", text, fields);
    }

    pub(crate) fn warning(&mut self, text: impl Display) {
        self.warning_with(text, &[]);
    }

    pub(crate) fn warning_with(&mut self, text: impl Display, fields: Fields<'_>) {
        self.line(YELLOW, "WARNING: ", text, fields);
    }

    pub(crate) fn error(&mut self, text: impl Display) {
        self.error_with(text, &[]);
    }

    pub(crate) fn error_with(&mut self, text: impl Display, fields: Fields<'_>) {
        self.line(RED, "ERROR: ", text, fields);
    }

    pub(crate) fn fatal(&mut self, text: impl Display) {
        self.line(RED, "FATAL: ", text, &[]);
    }

    fn line(&mut self, colour: &str, prefix: &str, text: impl Display, fields: Fields<'_>) {
        let text = format!("{prefix}{text}");
        let mut line = if fields.is_empty() {
            format!("{colour}{text}{RESET}")
        } else {
            format!("{colour}{text:<TEXT_WIDTH$}{RESET} ")
        };
        for (key, value) in fields {
            // Writing to a string cannot fail.
            let _ = write!(line, " {key}={value}");
        }
        let _ = writeln!(self.log, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::Report;

    #[test]
    fn lines() {
        let mut log = Vec::new();
        let mut report = Report::new(&mut log);
        report.info("plain");
        report.warning_with("odd", &[("id", &7), ("token", &"abc")]);
        report.fatal("permission denied");
        let odd = format!("{:<50}", "WARNING: odd");
        assert_eq!(
            String::from_utf8(log).unwrap(),
            format!(
                "plain\x1b[0;m\n\x1b[0;33m{odd}\x1b[0;m  id=7 token=abc\n\x1b[31;1mFATAL: permission denied\x1b[0;m\n"
            )
        );
    }
}
