//! `--watch`: run, wait until something has changed that a run would see, run again.
//!
//! ```text
//! inotify ─► folders ─► burst of events ─► mark of the tree now ─► differs from that of the last run? ─► change
//!                                                                                                        │
//!                    waiting loop, or the run that is under way (`Stop`) ◄───────────────────────────────┘
//! ```
//!
//! What counts is decided by comparing what a run would be for (tree, commit, branch, files beside them) with what the
//! last one was for. Events only say when to look: a file that was touched, an ignored file, or one that was changed and
//! changed back starts nothing.

mod change;
mod folders;
mod mark;
mod watcher;

use std::io::Write;
use std::time::Duration;

use tokio::runtime::Runtime;

pub(super) use self::change::Change;
use self::mark::Marker;
use self::watcher::{Patience, Watcher};
use super::ExecError;
use super::project::Project;
use super::run::{Surroundings, once};
use super::stop::{Stop, Wish};
use crate::args::{ExecArgs, WatchMode};
use crate::error::{CliError, Exit, report};

/// How long nothing more may happen before a burst of changes counts as over, and how long one may last.
const PATIENCE: Patience = Patience { quiet: Duration::from_millis(150), longest: Duration::from_secs(2) };

/// Runs the pipeline now and after each change, until the user has had enough.
pub(super) fn run(
    arguments: &ExecArgs,
    mode: WatchMode,
    surroundings: &Surroundings,
    runtime: &Runtime,
) -> Result<Exit, ExecError> {
    let project = Project::find(arguments, &surroundings.here);
    let marker = match project {
        Ok(Project { checkout: Ok(checkout), .. }) => Marker::new(arguments, surroundings, &checkout)?,
        Ok(project) => return Err(project.into_error()),
        // The file may come.
        Err(ExecError::NoFile(_)) => Marker::here(arguments, surroundings)?,
        Err(error) => return Err(error),
    };
    let mut stop = runtime.block_on(async { Stop::new() })?;
    let watcher = Watcher::start(marker, PATIENCE)?;
    loop {
        let changes = watcher.begin();
        stop.renew((mode == WatchMode::Cancel).then(|| changes.clone()));
        match once(arguments, surroundings, runtime, Some(&mut stop)) {
            // The user wanted it to end, and it has.
            Ok(_) if stop.is_wished() => return Ok(Exit::Canceled),
            Ok(_) => {}
            Err(error @ (ExecError::Left | ExecError::Usage(_))) => return Err(error),
            Err(error) => drop(report(&CliError::Exec(error))),
        }
        let known = changes.borrow().clone().or_else(|| stop.canceled_for());
        if known.is_none() && !say("waiting for changes; Ctrl-C ends") {
            return Ok(Exit::Success);
        }
        stop.renew(Some(changes));
        let change = match known {
            Some(change) => change,
            None => match runtime.block_on(stop.next()) {
                Wish::Newer(change) => change,
                _ => return Ok(Exit::Success),
            },
        };
        if !say(&format!("\nchanged: {change}")) {
            return Ok(Exit::Success);
        }
    }
}

/// Returns whether anybody still reads it.
fn say(line: &str) -> bool {
    writeln!(std::io::stdout(), "{line}").is_ok()
}
