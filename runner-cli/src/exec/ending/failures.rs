//! The last lines of failed jobs, and how to run just one of them.

use std::path::Path;

use runner_coordinator::run::Status;

use crate::exec::report::JobReport;
use crate::exec::ui::{Lines, Marker, Styles, clean, markers, status};

/// Lines of one log that are shown.
const LINES: usize = 8;

/// Failed jobs that are shown with their lines.
const JOBS: usize = 10;

/// Of each failed job the end of what its script printed, and the command that runs it again.
pub(in crate::exec) fn failures(jobs: &[JobReport], file: Option<&Path>, styles: Styles) -> Vec<String> {
    let failed: Vec<&JobReport> =
        jobs.iter().filter(|job| job.row.status == Status::Failed && job.row.started.is_some()).collect();
    let mut lines = Vec::new();
    for job in failed.iter().take(JOBS) {
        let style = if job.row.allowed { styles.warning() } else { styles.bad() };
        lines.push(format!("{style}{} {}{style:#}", job.row.name, status(&job.row)));
        lines.extend(
            end_of(&job.log, styles).into_iter().map(|line| format!("  {line}").trim_end().to_owned()),
        );
        let faint = styles.faint();
        // The jobs of a child pipeline cannot be named by themselves.
        if job.is_own {
            lines.push(format!(
                "  {faint}again: runner exec {}{}{faint:#}",
                of_file(file),
                quoted(&job.row.name)
            ));
        }
    }
    if failed.len() > JOBS {
        lines.push(format!("… and {} more failed jobs", failed.len() - JOBS));
    }
    lines
}

/// The last lines of the script's section; of the whole log where there is none.
fn end_of(log: &[u8], styles: Styles) -> Vec<String> {
    let mut splitter = Lines::default();
    let mut all = splitter.push(log);
    all.extend(splitter.finish());
    let is_script = |name: &String| name.starts_with("step_");
    let starts = |line: &String| {
        markers(line).iter().any(|marker| matches!(marker, Marker::Start { name, .. } if is_script(name)))
    };
    let ends = |line: &String| {
        markers(line).iter().any(|marker| matches!(marker, Marker::End { name, .. } if is_script(name)))
    };
    // Behind the section's head, which is no output.
    let begin = all.iter().rposition(starts).map_or(0, |head| head + 1);
    let length = all[begin..].iter().position(ends).unwrap_or(all.len() - begin);
    let shown: Vec<String> =
        all[begin..][..length].iter().filter_map(|line| clean(line, styles.colour)).collect();
    shown[shown.len().saturating_sub(LINES)..].to_vec()
}

fn of_file(file: Option<&Path>) -> String {
    file.map(|file| format!("-f {} ", quoted(&file.display().to_string()))).unwrap_or_default()
}

/// As a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:+@%".contains(c);
    if !word.is_empty() && !word.starts_with('-') && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::ui::Row;

    fn job(name: &str, status: Status, log: &str) -> JobReport {
        let mut job = JobReport::new(Row::sample(name, status, Some((0, 1, 2))));
        job.log = log.as_bytes().to_vec();
        job
    }

    #[test]
    fn the_end_of_the_script_is_shown() {
        let numbers: String = (1..=20).map(|number| format!("line {number}\n")).collect();
        let log = format!(
            "preparing\nsection_start:1:step_script\r\u{1b}[0K\u{1b}[0KExecuting\n{numbers}\u{1b}[31mlast\u{1b}[0m\n\
             section_end:2:step_script\r\u{1b}[0Ksection_start:2:after_script\r\u{1b}[0K\u{1b}[0KRunning after\nERROR: Job failed\n"
        );
        let mut broken = job("unit: [a b]", Status::Failed, &log);
        broken.row.exit_code = Some(3);
        let jobs = [job("fine", Status::Success, "all\n"), broken];
        let lines = failures(&jobs, Some(Path::new("other.yml")), Styles { colour: false });
        assert_eq!(lines.len(), 1 + LINES + 1);
        assert_eq!(lines[0], "unit: [a b] failed (exit code 3)");
        assert_eq!((lines[1].as_str(), lines[LINES].as_str()), ("  line 14", "  last"));
        assert_eq!(lines[LINES + 1], "  again: runner exec -f other.yml 'unit: [a b]'");
        let log = "before\nsection_start:1:step_script\r\u{1b}[0KExecuting\nonly\nsection_end:2:step_script\r\u{1b}[0K\n";
        let lines = failures(&[job("a", Status::Failed, log)], None, Styles { colour: false });
        assert_eq!(lines, ["a failed", "  only", "  again: runner exec a"]);
    }

    #[test]
    fn without_a_script_the_end_of_the_log_is() {
        let mut of_child = job("child/a", Status::Failed, "one\ntwo\n");
        of_child.is_own = false;
        let lines = failures(&[of_child], None, Styles { colour: false });
        assert_eq!(lines, ["child/a failed", "  one", "  two"]);
        let many: Vec<JobReport> = (0..12).map(|_| job("a", Status::Failed, "")).collect();
        assert_eq!(
            failures(&many, None, Styles { colour: false }).last().unwrap(),
            "… and 2 more failed jobs"
        );
    }

    #[test]
    fn names_are_quoted_for_shells() {
        assert_eq!(
            ["a-b", "it's", "-x", "$(x)", ""].map(quoted),
            ["a-b", "'it'\\''s'", "'-x'", "'$(x)'", "''"]
        );
    }
}
