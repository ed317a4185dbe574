//! The state folder: one folder for each project, in it one for each run.
//!
//! ```text
//! STATE/.gitignore                        the folder may lie inside a checkout
//! STATE/includes/                         what was fetched of other projects and addresses, kept
//! STATE/NAME-HASH/last-pipeline           number of the last pipeline
//! STATE/NAME-HASH/lock                    held for a moment, while a number is taken or runs are looked at
//! STATE/NAME-HASH/resources/              a file for each resource group, locked by the run that has it
//! STATE/NAME-HASH/cache/                  caches, kept
//! STATE/NAME-HASH/runs/ID/                everything of one run, removed at its end unless it is to be kept
//! STATE/NAME-HASH/runs/ID/lock            held as long as the run is under way; gone when it has ended and is kept
//! ```
//!
//! Locks are those of `flock(2)`: they end with the process that holds them, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::ExecError;

/// Name of lock files.
const LOCK: &str = "lock";

/// The folder of one run. Dropping it removes the folder, unless it is kept.
#[derive(Debug)]
pub(super) struct RunFolder {
    path: PathBuf,
    project: PathBuf,
    /// Number of the pipeline, one more than the last one of the project.
    pub(super) pipeline: u64,
    keep: bool,
    /// Held until the folder is gone.
    _lock: File,
}

impl RunFolder {
    /// Makes the folder of the next run of the project in `checkout`.
    pub(super) fn create(state: &Path, checkout: &Path, keep: bool) -> Result<Self, ExecError> {
        let wrong = |source| ExecError::State { path: state.to_owned(), source };
        make(state).map_err(wrong)?;
        let state = state.canonicalize().map_err(wrong)?;
        let ignore = state.join(".gitignore");
        if !ignore.exists() {
            std::fs::write(&ignore, "*\n").map_err(wrong)?;
        }
        let project = state.join(project_name(checkout));
        let runs = project.join("runs");
        make(&runs).map_err(wrong)?;
        let taking = lock(&project).map_err(wrong)?;
        let pipeline = next(&project).map_err(wrong)?;
        let path = runs.join(pipeline.to_string());
        std::fs::DirBuilder::new().mode(0o700).create(&path).map_err(wrong)?;
        let own = lock(&path).map_err(wrong)?;
        drop(taking);
        Ok(Self { path, project, pipeline, keep, _lock: own })
    }

    /// The number of one more pipeline: a child of this one.
    pub(super) fn child(&self) -> Result<u64, ExecError> {
        let wrong = |source| ExecError::State { path: self.project.clone(), source };
        let _taking = lock(&self.project).map_err(wrong)?;
        next(&self.project).map_err(wrong)
    }

    /// The folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A folder in it, made if it is not there.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf, ExecError> {
        let path = self.path.join(name);
        make(&path).map_err(|source| ExecError::State { path: path.clone(), source })?;
        Ok(path)
    }

    /// The project's folder.
    pub(super) fn project(&self) -> &Path {
        &self.project
    }

    /// The project's folder for caches.
    pub(super) fn cache(&self) -> Result<PathBuf, ExecError> {
        let path = self.project.join("cache");
        make(&path).map_err(|source| ExecError::State { path: path.clone(), source })?;
        Ok(path)
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        // Without a lock it is one that was kept, not one that died.
        let done = if self.keep { std::fs::remove_file(self.path.join(LOCK)) } else { remove(&self.path) };
        if let Err(error) = done {
            tracing::warn!("{} stays as it is: {error}", self.path.display());
        }
    }
}

/// Whose folder of a run it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// A run that is under way.
    Running,
    /// Nobody: the run has ended and is kept.
    Kept,
    /// Nobody: the run ended without clearing up.
    Dead,
}

/// Whose the folder of a run is. Only true for as long as the project's lock is held.
pub(super) fn owner(run: &Path) -> std::io::Result<Owner> {
    match File::open(run.join(LOCK)) {
        Ok(file) => match file.try_lock() {
            Ok(()) => Ok(Owner::Dead),
            Err(TryLockError::WouldBlock) => Ok(Owner::Running),
            Err(TryLockError::Error(error)) => Err(error),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Owner::Kept),
        Err(error) => Err(error),
    }
}

/// Takes the lock of a folder, as soon as nobody else has it; dropping it gives it back.
pub(super) fn lock(folder: &Path) -> std::io::Result<File> {
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(folder.join(LOCK))?;
    file.lock()?;
    Ok(file)
}

/// The next number of a project. The caller holds the project's lock.
fn next(project: &Path) -> std::io::Result<u64> {
    let counter = project.join("last-pipeline");
    let last = std::fs::read_to_string(&counter).ok().and_then(|text| text.trim().parse().ok());
    let mut pipeline = last.unwrap_or(0_u64) + 1;
    // A counter that was lost must not lead to a run that is kept.
    while project.join("runs").join(pipeline.to_string()).symlink_metadata().is_ok() {
        pipeline += 1;
    }
    std::fs::write(&counter, format!("{pipeline}\n"))?;
    Ok(pipeline)
}

/// Where state goes when no folder is named.
pub(super) fn default_folder(state_home: Option<&str>, home: Option<&Path>) -> Option<PathBuf> {
    let base = match state_home {
        Some(folder) => PathBuf::from(folder),
        None => home?.join(".local/state"),
    };
    Some(base.join("runner"))
}

/// Two checkouts with the same name are two projects.
pub(super) fn project_name(checkout: &Path) -> String {
    let hash = Sha256::digest(checkout.as_os_str().as_bytes());
    let hash: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let name = checkout.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect();
    format!("{name}-{hash}")
}

/// Makes a folder for nobody else's eyes.
pub(super) fn make(path: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Removes a folder; jobs may have left folders in it that cannot be written to. Links are removed, never followed.
pub(super) fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(_) => {
            make_writable(path)?;
            std::fs::remove_dir_all(path)
        }
    }
}

fn make_writable(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};

    use super::{Owner, RunFolder, default_folder, owner};

    #[test]
    fn numbers_go_up_and_folders_go_away() {
        let state = tempfile::tempdir().unwrap();
        let checkout = Path::new("/somewhere/my project");
        let first = RunFolder::create(state.path(), checkout, false).unwrap();
        let second = RunFolder::create(state.path(), checkout, false).unwrap();
        assert_eq!((first.pipeline, second.pipeline), (1, 2));
        let path = first.path().to_owned();
        assert!(
            path.parent()
                .unwrap()
                .parent()
                .unwrap()
                .file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("my_project-")
        );
        let locked = first.folder("builds/locked").unwrap();
        std::fs::write(locked.join("file"), "").unwrap();
        std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o500)).unwrap();
        drop((first, second));
        assert!(!path.exists());
        assert_eq!(RunFolder::create(state.path(), checkout, false).unwrap().pipeline, 3);
        assert_eq!(
            RunFolder::create(state.path(), Path::new("/other/my project"), false).unwrap().pipeline,
            1
        );
    }

    #[test]
    fn whose_a_folder_is() {
        let state = tempfile::tempdir().unwrap();
        let checkout = Path::new("/somewhere/project");
        let running = RunFolder::create(state.path(), checkout, false).unwrap();
        assert_eq!(owner(running.path()).unwrap(), Owner::Running);
        let kept = RunFolder::create(state.path(), checkout, true).unwrap();
        let path = kept.path().to_owned();
        drop(kept);
        assert_eq!(owner(&path).unwrap(), Owner::Kept);
        let dead = path.with_file_name("9");
        std::fs::create_dir(&dead).unwrap();
        drop(super::lock(&dead).unwrap());
        assert_eq!(owner(&dead).unwrap(), Owner::Dead);
        // Numbers of children are numbers of no other run.
        let child = running.child().unwrap();
        let next = RunFolder::create(state.path(), checkout, false).unwrap();
        assert_eq!((child, next.pipeline), (3, 4));
        // A lost counter does not lead into a folder that is there.
        std::fs::remove_file(path.parent().unwrap().with_file_name("last-pipeline")).unwrap();
        assert_eq!(RunFolder::create(state.path(), checkout, false).unwrap().pipeline, 3);
    }

    #[test]
    fn default_folders() {
        assert_eq!(default_folder(Some("/s"), Some(Path::new("/h"))), Some(PathBuf::from("/s/runner")));
        assert_eq!(
            default_folder(None, Some(Path::new("/h"))),
            Some(PathBuf::from("/h/.local/state/runner"))
        );
        assert_eq!(default_folder(None, None), None);
    }
}
