//! The last line.

use std::time::Duration;

use runner_coordinator::run::{Outcome, Status};

use super::Styles;
use super::row::{Row, seconds};
use crate::error::Exit;

/// How the pipeline ended, in words and as an exit code.
pub(crate) fn verdict(outcome: &Outcome, rows: &[Row], took: Duration, styles: Styles) -> (String, Exit) {
    let ran = rows.iter().filter(|row| row.started.is_some()).count();
    let jobs = format!("{ran} {} in {}", if ran == 1 { "job" } else { "jobs" }, seconds(took));
    let (style, text, exit) = match outcome {
        Outcome::Success { warnings: false } => (styles.good(), format!("success ({jobs})"), Exit::Success),
        Outcome::Success { warnings: true } => (
            styles.warning(),
            format!("success with warnings ({jobs}; failed and allowed: {})", failed(rows, true)),
            Exit::Success,
        ),
        Outcome::Failed => {
            (styles.bad(), format!("failed ({jobs}; failed: {})", failed(rows, false)), Exit::Failed)
        }
        Outcome::Canceled => (styles.bad(), format!("canceled ({jobs})"), Exit::Canceled),
        Outcome::Skipped => {
            (styles.warning(), "skipped (no job had a reason to run)".to_owned(), Exit::Success)
        }
        Outcome::Blocked { manual } => {
            let how: Vec<String> = manual.iter().map(|name| format!("--manual '{name}'")).collect();
            (
                styles.warning(),
                format!("waits for manual jobs ({jobs}; go on with {})", how.join(" ")),
                Exit::Success,
            )
        }
    };
    (format!("{style}{text}{style:#}"), exit)
}

fn failed(rows: &[Row], allowed: bool) -> String {
    let names: Vec<&str> = rows
        .iter()
        .filter(|row| row.status == Status::Failed && row.allowed == allowed)
        .map(|row| row.name.as_str())
        .collect();
    names.join(", ")
}
