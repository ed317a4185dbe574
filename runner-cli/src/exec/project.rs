//! Where the pipeline's file lies, and in which checkout.

use std::path::{Path, PathBuf};

use super::ExecError;
use super::source::{Checkout, Files, SourceError};
use crate::args::ExecArgs;

const DEFAULT_FILE: &str = ".gitlab-ci.yml";

/// A pipeline's file and the project around it.
#[derive(Debug)]
pub(super) struct Project {
    /// Root of the project: of the repository, or the file's folder.
    pub(super) root: PathBuf,
    /// Name of the pipeline's file, relative to the root where it lies inside.
    pub(super) config_path: String,
    /// The file itself.
    file: PathBuf,
    /// The checkout, or why there is none.
    pub(super) checkout: Result<Checkout, SourceError>,
    /// Whether includes are read from the checkout.
    in_checkout: bool,
}

impl Project {
    /// Finds the file that is meant, and the checkout around it. A file outside of any repository is its own project for
    /// includes; the sources are then those of the current folder's repository.
    pub(super) fn find(arguments: &ExecArgs, here: &Path) -> Result<Self, ExecError> {
        let around = match arguments.file {
            Some(_) => None,
            None => Some(Checkout::open(here)),
        };
        let file = match (&arguments.file, &around) {
            (Some(file), _) => here.join(file),
            (None, Some(Ok(Checkout { root, .. }) | Err(SourceError::NoCommit(root)))) => {
                root.join(DEFAULT_FILE)
            }
            (None, _) => here.join(DEFAULT_FILE),
        };
        // Only the folder is made canonical: a link to a file belongs where the link is.
        let name = file.file_name().ok_or_else(|| ExecError::NoFile(file.clone()))?;
        let folder = file.parent().unwrap_or(here);
        let folder = folder.canonicalize().map_err(|_| ExecError::NoFile(file.clone()))?;
        let file = folder.join(name);
        if !file.is_file() && !arguments.committed {
            return Err(match around {
                // That is why there is none.
                Some(Err(error @ (SourceError::Bare(_) | SourceError::Refused { .. }))) => error.into(),
                _ => ExecError::NoFile(file),
            });
        }
        // Most often it is the one that was looked at already.
        let checkout = match around {
            Some(Ok(checkout)) if checkout.root == folder => Ok(checkout),
            _ => Checkout::open(&folder),
        };
        let named = name.to_string_lossy().into_owned();
        match checkout {
            Ok(Checkout { ref root, .. }) | Err(SourceError::NoCommit(ref root)) => {
                let root = root.clone();
                let config_path = file.strip_prefix(&root).unwrap_or(&file).to_string_lossy().into_owned();
                Ok(Self { root, config_path, file, checkout, in_checkout: true })
            }
            Err(SourceError::NoRepository(_)) => {
                let checkout = match Checkout::open(here) {
                    // What the user named is more helpful than where they are.
                    Err(SourceError::NoRepository(_)) => Err(SourceError::NoRepository(folder.clone())),
                    other => other,
                };
                Ok(Self { root: folder, config_path: named, file, checkout, in_checkout: false })
            }
            Err(error) => {
                Ok(Self { root: folder, config_path: named, file, checkout: Err(error), in_checkout: false })
            }
        }
    }

    /// Why there is no checkout; only for a project without one.
    pub(super) fn into_error(self) -> ExecError {
        match self.checkout {
            Err(error) => error.into(),
            Ok(checkout) => SourceError::NoRepository(checkout.root).into(),
        }
    }

    /// The files that includes, `exists` and the pipeline itself are read from.
    pub(super) fn files(&self, committed: bool) -> Files {
        match &self.checkout {
            Ok(checkout) if self.in_checkout && committed => {
                Files::commit(checkout.git.clone(), checkout.head.clone())
            }
            _ if self.in_checkout => {
                Files::tree(super::git::Git::new(&self.root)).with_root(&self.config_path, &self.file)
            }
            _ => Files::folder(self.root.clone()).with_root(&self.config_path, &self.file),
        }
    }
}
