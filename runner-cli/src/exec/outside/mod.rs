//! Files of a configuration that do not lie in the project: of other projects, addresses, templates, artifacts.
//!
//! ```text
//! include:project    --project group/x=DIR ─► what was fetched before ─► git, from the server of the remote `origin`
//! include:component  the same, with the version as a tag
//! include:remote     what was fetched before ─► HTTP(S)
//! include:template   --templates DIR
//! include:artifact   the archive of a job of this run
//! ```
//!
//! What is fetched is kept in `STATE/includes`. With `--offline` nothing is fetched.

mod archive;
mod checkouts;
mod fetched;
mod remote;
mod versions;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use runner_api::transport::ProxySettings;
use runner_coordinator::pipeline::{Foreign, Found};

use self::checkouts::Checkouts;
use self::fetched::Fetched;
use self::remote::Addresses;

/// What the user allows and names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Choice {
    /// `--project PATH=DIR`.
    pub(crate) projects: Vec<(String, PathBuf)>,
    /// `--templates DIR`.
    pub(crate) templates: Vec<PathBuf>,
    /// `--offline`.
    pub(crate) offline: bool,
    /// `--refresh-includes`.
    pub(crate) refresh: bool,
    /// Where fetched files are kept; `None` when there is no folder for it.
    pub(crate) folder: Option<PathBuf>,
    /// URL of the project's own remote: others are looked for beside it.
    pub(crate) origin: Option<String>,
    /// Proxies for addresses.
    pub(crate) proxy: ProxySettings,
}

/// Finds files that do not lie in the project.
#[derive(Debug)]
pub(crate) struct Outside {
    checkouts: Checkouts,
    fetched: Fetched,
    addresses: Addresses,
    templates: Vec<PathBuf>,
    /// Archives of jobs that have ended, by name.
    archives: RefCell<HashMap<String, PathBuf>>,
    notes: RefCell<Vec<String>>,
}

impl Outside {
    /// Looks where `choice` says.
    pub(crate) fn new(choice: Choice) -> Self {
        Self {
            checkouts: Checkouts::new(choice.projects),
            fetched: Fetched::new(choice.origin, choice.folder.clone(), choice.offline, choice.refresh),
            addresses: Addresses::new(choice.folder, choice.offline, choice.refresh, choice.proxy),
            templates: choice.templates,
            archives: RefCell::default(),
            notes: RefCell::default(),
        }
    }

    /// From now on these are the archives of jobs.
    pub(crate) fn set_archives(&self, archives: HashMap<String, PathBuf>) {
        self.archives.replace(archives);
    }

    /// What the user should know of files found since the last call.
    pub(crate) fn take_notes(&self) -> Vec<String> {
        self.notes.take()
    }

    /// A file; `None` when nobody has said where it could be.
    pub(crate) fn find(&self, wanted: &Foreign<'_>) -> io::Result<Option<Found>> {
        match wanted {
            Foreign::Project { project, git_ref, file } => {
                if let Some(found) = self.checkouts.file(project, *git_ref, file)? {
                    return Ok(Some(found));
                }
                self.fetched.file(project, *git_ref, file)
            }
            Foreign::Component { host, project, name, version } => {
                if let Some(found) = self.checkouts.component(project, name, version)? {
                    return Ok(Some(found));
                }
                self.fetched.component(host, project, name, version)
            }
            Foreign::Remote { url } => {
                let (text, note) = self.addresses.get(url)?;
                self.notes.borrow_mut().extend(note);
                Ok(Some(Found::from(text)))
            }
            Foreign::Template { name } => self.template(name),
            Foreign::Artifact { job, path } => match self.archives.borrow().get(*job) {
                Some(archive) => archive::read(archive, path).map(|text| Some(Found::from(text))),
                None => Err(io::Error::other(format!(
                    "job {job} has no artifacts yet; it must run before, in an earlier stage or as one of `needs`"
                ))),
            },
            _ => Ok(None),
        }
    }

    /// All files of another project, as far as a checkout of it was named.
    pub(crate) fn list(&self, project: &str, git_ref: Option<&str>) -> io::Result<Option<Vec<String>>> {
        match self.checkouts.list(project, git_ref)? {
            Some(files) => Ok(Some(files)),
            None => self.fetched.list(project, git_ref),
        }
    }

    fn template(&self, name: &str) -> io::Result<Option<Found>> {
        if self.templates.is_empty() {
            return Ok(None);
        }
        if !is_inside(name) {
            return Err(io::Error::other("the name leads out of the folder of templates"));
        }
        for folder in &self.templates {
            // The folder itself, or a checkout of GitLab that has them where it keeps them.
            for path in [folder.join(name), folder.join("lib/gitlab/ci/templates").join(name)] {
                match std::fs::read_to_string(&path) {
                    Ok(text) => return Ok(Some(Found::from(text))),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        let folders: Vec<String> = self.templates.iter().map(|folder| folder.display().to_string()).collect();
        Err(io::Error::other(format!("there is no such file in {}", folders.join(", "))))
    }
}

/// Whether a relative path stays below the folder that it starts from.
fn is_inside(path: &str) -> bool {
    Path::new(path).components().all(|part| matches!(part, std::path::Component::Normal(_)))
}

/// Where a component may be in its project.
fn component_files(name: &str) -> [String; 2] {
    [format!("templates/{name}.yml"), format!("templates/{name}/template.yml")]
}
