//! The state folder: one folder for each project, in it one for each run.
//!
//! ```text
//! STATE/.gitignore                        the folder may lie inside a checkout
//! STATE/includes/                         what was fetched of other projects and addresses, kept
//! STATE/NAME-HASH/last-pipeline           number of the last pipeline
//! STATE/NAME-HASH/cache/                  caches, kept
//! STATE/NAME-HASH/runs/ID/                everything of one run, removed at its end unless it is to be kept
//! ```

use std::cell::RefCell;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::ExecError;

/// The folder of one run. Dropping it removes the folder, unless it is kept.
#[derive(Debug)]
pub(super) struct RunFolder {
    path: PathBuf,
    project: PathBuf,
    /// Number of the pipeline, one more than the last one of the project.
    pub(super) pipeline: u64,
    keep: bool,
    /// Numbers of child pipelines that are taken.
    children: RefCell<Vec<PathBuf>>,
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
        let (pipeline, path) = next(&project).map_err(wrong)?;
        Ok(Self { path, project, pipeline, keep, children: RefCell::default() })
    }

    /// The number of one more pipeline: a child of this one.
    pub(super) fn child(&self) -> Result<u64, ExecError> {
        let (pipeline, path) =
            next(&self.project).map_err(|source| ExecError::State { path: self.project.clone(), source })?;
        self.children.borrow_mut().push(path);
        Ok(pipeline)
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

    /// The project's folder for caches.
    pub(super) fn cache(&self) -> Result<PathBuf, ExecError> {
        let path = self.project.join("cache");
        make(&path).map_err(|source| ExecError::State { path: path.clone(), source })?;
        Ok(path)
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        for child in self.children.take() {
            // Only a number: nothing is in it.
            let _ = std::fs::remove_dir(child);
        }
        if !self.keep
            && let Err(error) = remove(&self.path)
        {
            tracing::warn!("{} stays: {error}", self.path.display());
        }
    }
}

/// The next number of a project and its folder.
fn next(project: &Path) -> std::io::Result<(u64, PathBuf)> {
    let counter = project.join("last-pipeline");
    let last = std::fs::read_to_string(&counter).ok().and_then(|text| text.trim().parse().ok());
    let mut pipeline = last.unwrap_or(0_u64) + 1;
    // Two runs at the same time: making the folder decides who gets the number.
    let path = loop {
        let path = project.join("runs").join(pipeline.to_string());
        match std::fs::DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => break path,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => pipeline += 1,
            Err(error) => return Err(error),
        }
    };
    std::fs::write(&counter, format!("{pipeline}\n"))?;
    Ok((pipeline, path))
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
fn project_name(checkout: &Path) -> String {
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

/// Removes a folder; jobs may have left folders in it that cannot be written to.
fn remove(path: &Path) -> std::io::Result<()> {
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

    use super::{RunFolder, default_folder};

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
    fn default_folders() {
        assert_eq!(default_folder(Some("/s"), Some(Path::new("/h"))), Some(PathBuf::from("/s/runner")));
        assert_eq!(
            default_folder(None, Some(Path::new("/h"))),
            Some(PathBuf::from("/h/.local/state/runner"))
        );
        assert_eq!(default_folder(None, None), None);
    }
}
