//! `coverage`: a number out of a job's log. <https://docs.gitlab.com/ci/yaml/#coverage>

use std::sync::LazyLock;

use regex::Regex;

use crate::pipeline::Pattern;

static NUMBER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[0-9]+(?:\.[0-9]+)?").ok());
/// What colours texts and marks sections.
static CONTROL: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\x1b\[[0-9;?]*[a-zA-Z]").ok());

/// The coverage that a job reports: the first number in what `expression` finds last in its log, looking at the lines from
/// the end. `expression` is [`Job::coverage`](crate::pipeline::Job::coverage). If it has groups, what counts is the last one
/// that took part, as on the server; a group that only holds things together is written `(?:…)`.
///
/// ```
/// use runner_coordinator::run::coverage;
///
/// let log = b"module a: 70%\nTotal coverage: 81.5 %\ndone\n";
/// assert_eq!(coverage(r"coverage: (\d+(?:\.\d+)?)", log), Some("81.5".to_owned()));
/// assert_eq!(coverage("none", log), None);
/// ```
#[must_use]
pub fn coverage(expression: &str, log: &[u8]) -> Option<String> {
    let pattern = Pattern::parse(&format!("/{expression}/")).ok()?;
    let log = String::from_utf8_lossy(log);
    log.lines().rev().find_map(|line| {
        let line = CONTROL.as_ref().map_or(line.into(), |control| control.replace_all(line, ""));
        let found = pattern.last_group(&line)?;
        NUMBER.as_ref()?.find(found).map(|number| number.as_str().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::coverage;

    #[test]
    fn the_last_number_counts() {
        for (expression, log, expected) in [
            ("^TOTAL.+ (\\d+)%", "TOTAL 10 5 50%\nTOTAL 10 1 90%\nend\n", Some("90")),
            ("\\d+\\.\\d+% covered", "\u{1b}[32m83.25% covered\u{1b}[0m\r\n", Some("83.25")),
            ("a (\\d+) b (\\d+)", "a 1 b 2, a 3 b 4", Some("4")),
            ("Coverage: (\\d+)%|Total: (\\d+)%", "Total: 70%\nCoverage: 98%", Some("98")),
            ("Coverage: (\\d+)%|Total: (\\d+)%", "Coverage: 98%\nTotal: 70%", Some("70")),
            ("covered( \\d+)?", "covered 5\ncovered\n", Some("5")),
            ("\\d+ of \\d+", "done 1 of 2", Some("1")),
            ("(?i)LINES.*: (\\d+\\.\\d+)%", "lines......: 66.7% (2 of 3)", Some("66.7")),
            ("^100%$", "\u{1b}[0K100%\r\n", Some("100")),
            ("(", "1", None),
            ("Total: (\\w+)", "Total: 7\nTotal: none", Some("7")),
            ("x", "", None),
        ] {
            assert_eq!(coverage(expression, log.as_bytes()).as_deref(), expected, "{expression}");
        }
    }
}
