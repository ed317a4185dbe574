//! The project's files with the listing kept, because a listing may be expensive.

use std::cell::OnceCell;
use std::io;

use super::ProjectFiles;
use super::error::CompileError;
use super::foreign::{Foreign, Found};
use super::span::Span;

/// Files of the project; the list of them is asked for once at the most.
pub(crate) struct Listing<'f> {
    files: &'f dyn ProjectFiles,
    tracked: OnceCell<Vec<String>>,
}

impl<'f> Listing<'f> {
    pub(crate) fn new(files: &'f dyn ProjectFiles) -> Self {
        Self { files, tracked: OnceCell::new() }
    }

    pub(crate) fn read(&self, path: &str) -> io::Result<Option<String>> {
        self.files.read(path)
    }

    /// A file of somewhere else.
    pub(crate) fn foreign(&self, wanted: &Foreign<'_>) -> io::Result<Option<Found>> {
        self.files.foreign(wanted)
    }

    /// All files of another project, if they are known.
    pub(crate) fn list_foreign(
        &self,
        project: &str,
        git_ref: Option<&str>,
        span: &Span,
    ) -> Result<Option<Vec<String>>, CompileError> {
        self.files.list_foreign(project, git_ref).map_err(|error| {
            CompileError::new(span, format!("cannot list the files of project {project}: {error}"))
        })
    }

    /// All files; a failure is blamed on what needs them.
    pub(crate) fn tracked(&self, span: &Span) -> Result<&[String], CompileError> {
        if let Some(tracked) = self.tracked.get() {
            return Ok(tracked);
        }
        let listed = self.files.list().map_err(|error| {
            CompileError::new(span, format!("cannot list the files of the repository: {error}"))
        })?;
        Ok(self.tracked.get_or_init(|| listed))
    }
}
