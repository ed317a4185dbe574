//! `exec clean`: removes what `exec` keeps in the state folder, and nothing else.
//!
//! Only names that `exec` itself makes are looked at. A folder of a run that is under way stays, and so do the caches of
//! its project. What others could be about to use is renamed first, so that they find it whole or not at all. A link in
//! a place where `exec` makes folders is left alone.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::ExecError;
use super::report::size;
use super::run::Surroundings;
use super::source::Checkout;
use super::state::{self, Owner};
use crate::args::CleanArgs;
use crate::error::Exit;

/// Folders with this beginning were renamed by a `clean` that did not come to its end.
const RENAMED: &str = ".removed-";

/// Removes what was asked for, and says what.
pub(super) fn run(arguments: &CleanArgs, surroundings: &Surroundings) -> Result<Exit, ExecError> {
    let state = super::run::state_folder(arguments.state_dir.as_deref(), surroundings)
        .ok_or_else(|| ExecError::Usage("HOME is not set; name a folder with --state-dir".to_owned()))?;
    let wrong = |source| ExecError::State { path: state.clone(), source };
    let own = if arguments.all_projects { None } else { Some(own_project(surroundings)?) };
    let mut cleaning = Cleaning { dry: arguments.dry_run, removed: 0, failed: false, found: false };
    if state.is_dir() {
        let state = state.canonicalize().map_err(wrong)?;
        let chosen = Chosen::of(arguments);
        let projects = projects(&state).map_err(wrong)?;
        let mut is_running = false;
        for project in &projects {
            let is_meant =
                own.as_ref().is_none_or(|own| project.file_name().is_some_and(|name| name == own.as_str()));
            let runs = Runs::of(project).map_err(wrong)?;
            is_running |= runs.is_running();
            if is_meant {
                cleaning.project(project, &runs, chosen);
            }
        }
        cleaning.includes(&state.join("includes"), chosen.includes, is_running);
    }
    cleaning.finish();
    Ok(if cleaning.failed { Exit::Failed } else { Exit::Success })
}

/// What is to be removed.
#[derive(Debug, Clone, Copy)]
struct Chosen {
    caches: bool,
    includes: bool,
    runs: bool,
}

impl Chosen {
    fn of(arguments: &CleanArgs) -> Self {
        let CleanArgs { caches, includes, runs, all_projects, .. } = *arguments;
        if caches || includes || runs {
            return Self { caches, includes, runs };
        }
        // Other projects would miss what was fetched for includes.
        Self { caches: true, includes: all_projects, runs: true }
    }
}

/// Name of the folder of the project around the current folder.
fn own_project(surroundings: &Surroundings) -> Result<String, ExecError> {
    match Checkout::root(&surroundings.here)? {
        Some(root) => Ok(state::project_name(&root)),
        None => Err(ExecError::Usage(format!(
            "{} is not inside a git repository, so there is no project to clean up for; --all-projects does it for all of them",
            surroundings.here.display()
        ))),
    }
}

/// The folders of projects, which are those that hold a counter and are named as such.
fn projects(state: &Path) -> io::Result<Vec<PathBuf>> {
    let is_named = |name: &str| {
        let hash = name.rsplit_once('-').map(|(_, hash)| hash);
        hash.is_some_and(|hash| hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let mut found = folders(state, is_named)?;
    found.retain(|project| project.join("last-pipeline").is_file());
    Ok(found)
}

/// Folders in a folder with names that fit, in order. Links are none.
fn folders(folder: &Path, fits: impl Fn(&str) -> bool) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() && entry.file_name().to_str().is_some_and(&fits) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// The folders of a project's runs.
#[derive(Debug)]
struct Runs {
    found: Vec<(u64, PathBuf, Owner)>,
}

impl Runs {
    fn of(project: &Path) -> io::Result<Self> {
        let runs = project.join("runs");
        if !is_folder(&runs) {
            return Ok(Self { found: Vec::new() });
        }
        let _looking = state::lock(project)?;
        let mut found = Vec::new();
        for path in folders(&runs, |name| name.parse::<u64>().is_ok())? {
            let number = path.file_name().and_then(|name| name.to_str()?.parse().ok()).unwrap_or_default();
            found.push((number, path.clone(), state::owner(&path)?));
        }
        found.sort_by_key(|(number, ..)| *number);
        Ok(Self { found })
    }

    fn is_running(&self) -> bool {
        self.found.iter().any(|(_, _, owner)| *owner == Owner::Running)
    }
}

/// What was done so far.
#[derive(Debug)]
struct Cleaning {
    dry: bool,
    removed: u64,
    failed: bool,
    /// Whether there was anything to remove.
    found: bool,
}

impl Cleaning {
    fn project(&mut self, project: &Path, runs: &Runs, chosen: Chosen) {
        let name = project.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if chosen.caches {
            let reason = runs.is_running().then_some("a run of the project is under way");
            self.aside(&project.join("cache"), &format!("caches of {name}"), reason);
        }
        if !chosen.runs {
            return;
        }
        for (number, path, owner) in &runs.found {
            match owner {
                Owner::Running => self.stays(&format!("run {number} of {name}"), "it is under way"),
                Owner::Kept => self.remove(path, &format!("run {number} of {name}, which was kept")),
                Owner::Dead => self.remove(path, &format!("run {number} of {name}, which died")),
            }
        }
    }

    fn includes(&mut self, folder: &Path, chosen: bool, is_running: bool) {
        let what = "what was fetched for includes";
        if chosen {
            self.aside(folder, what, is_running.then_some("a run is under way"));
        } else if is_folder(folder) {
            self.stays(what, "all projects share it; --includes removes it");
        }
    }

    /// Removes a folder that a run that begins now could use, unless there is a reason not to.
    fn aside(&mut self, folder: &Path, what: &str, reason: Option<&str>) {
        let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) else { return };
        // What an earlier one left is nobody's any more.
        let beginning = format!("{RENAMED}{}-", name.to_string_lossy());
        for left in folders(parent, |name| name.starts_with(&beginning)).unwrap_or_default() {
            self.remove(&left, what);
        }
        if !is_folder(folder) {
            if folder.symlink_metadata().is_ok() {
                self.stays(what, &format!("{} is no folder", folder.display()));
            }
            return;
        }
        if let Some(reason) = reason {
            return self.stays(what, reason);
        }
        if self.dry {
            return self.remove(folder, what);
        }
        let renamed = parent.join(format!("{beginning}{}", uuid::Uuid::new_v4()));
        match std::fs::rename(folder, &renamed) {
            Ok(()) => self.remove(&renamed, what),
            Err(error) => self.fails(what, folder, &error),
        }
    }

    fn remove(&mut self, folder: &Path, what: &str) {
        self.found = true;
        let bytes = used(folder);
        if self.dry {
            self.say(&format!("would remove {what} ({})", size(bytes)));
        } else if let Err(error) = state::remove(folder) {
            return self.fails(what, folder, &error);
        } else {
            self.say(&format!("removed {what} ({})", size(bytes)));
        }
        self.removed += bytes;
    }

    fn stays(&self, what: &str, why: &str) {
        self.say(&format!("{what}: stays, {why}"));
    }

    fn fails(&mut self, what: &str, folder: &Path, error: &io::Error) {
        self.failed = true;
        self.say(&format!("{what}: cannot be removed: {}: {error}", folder.display()));
    }

    fn finish(&self) {
        let size = size(self.removed);
        match (self.found, self.dry) {
            (false, _) => self.say("nothing to remove"),
            (true, false) => self.say(&format!("removed {size}")),
            (true, true) => self.say(&format!("would remove {size}; nothing was removed")),
        }
    }

    fn say(&self, line: &str) {
        use std::io::Write;
        // A reader that has seen enough is no failure.
        let _ = writeln!(io::stdout(), "{line}");
    }
}

fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|data| data.is_dir())
}

/// Bytes on the disk below a folder, as far as they can be seen. Links are not followed.
fn used(path: &Path) -> u64 {
    let Ok(data) = path.symlink_metadata() else { return 0 };
    let own = data.blocks() * 512;
    if !data.is_dir() {
        return own;
    }
    let entries = std::fs::read_dir(path).into_iter().flatten();
    own + entries.filter_map(Result::ok).map(|entry| used(&entry.path())).sum::<u64>()
}
