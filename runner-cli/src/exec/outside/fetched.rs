//! Other projects of the same server, fetched with git and the user's own credentials.

use std::io::{self, Write};
use std::path::PathBuf;

use runner_coordinator::pipeline::Found;
use runner_coordinator::run::Remote;

use super::checkouts::show;
use super::remote::digest;
use super::{component_files, is_inside, versions};
use crate::exec::git::{Git, GitError};

/// Fetches commits of other projects into bare repositories below the state folder.
#[derive(Debug)]
pub(super) struct Fetched {
    /// URL of the own project's remote, and the project's path in it.
    origin: Option<(String, Remote)>,
    folder: Option<PathBuf>,
    offline: bool,
    refresh: bool,
}

impl Fetched {
    pub(super) fn new(origin: Option<String>, folder: Option<PathBuf>, offline: bool, refresh: bool) -> Self {
        let origin = origin.and_then(|url| {
            let remote = Remote::parse(&url)?;
            url.contains(&remote.path).then_some((url, remote))
        });
        Self { origin, folder, offline, refresh }
    }

    /// A file of a project; `None` when it is not known where projects could be fetched from.
    pub(super) fn file(&self, project: &str, git_ref: Option<&str>, file: &str) -> io::Result<Option<Found>> {
        let Some(repository) = self.repository(project) else { return Ok(None) };
        if !is_inside(file) {
            return Err(io::Error::other("the path leads out of the project"));
        }
        let name = git_ref.unwrap_or("HEAD");
        let kept = self.commit(&repository, name)?;
        match show(&repository.git, &kept, file)? {
            Some(text) => Ok(Some(Found { text, git_ref: None })),
            None => Err(io::Error::other(format!("project {project} has no file {file} at {name}"))),
        }
    }

    /// A component of a project of the same server; `None` when the server is another one.
    pub(super) fn component(
        &self,
        host: &str,
        project: &str,
        name: &str,
        version: &str,
    ) -> io::Result<Option<Found>> {
        let Some(repository) = self.repository(project).filter(|repository| repository.host == host) else {
            return Ok(None);
        };
        let tags;
        let version = if versions::newest(version, std::iter::empty()).is_some() {
            tags = self.tags(&repository)?;
            versions::newest(version, tags.iter().map(String::as_str))
                .flatten()
                .ok_or_else(|| io::Error::other(format!("project {project} has no release {version}")))?
        } else {
            version
        };
        let commit = self.commit(&repository, version)?;
        for file in component_files(name) {
            if let Some(text) = show(&repository.git, &commit, &file)? {
                return Ok(Some(Found { text, git_ref: Some(version.to_owned()) }));
            }
        }
        let [one, other] = component_files(name);
        Err(io::Error::other(format!("project {project} has neither {one} nor {other} at {version}")))
    }

    /// All files of a project; `None` when it cannot be fetched.
    pub(super) fn list(&self, project: &str, git_ref: Option<&str>) -> io::Result<Option<Vec<String>>> {
        let Some(repository) = self.repository(project) else { return Ok(None) };
        let commit = self.commit(&repository, git_ref.unwrap_or("HEAD"))?;
        let listing = repository.git.output(&["ls-tree", "-r", "-z", "--name-only", &commit], &[]);
        Ok(Some(crate::exec::source::names(&listing.map_err(io::Error::other)?)))
    }

    fn repository(&self, project: &str) -> Option<Repository> {
        let (url, remote) = self.origin.as_ref()?;
        // Only the last one is the project: its name may also be part of the host's.
        let at = url.rfind(&remote.path)?;
        let mut address = url.clone();
        address.replace_range(at..at + remote.path.len(), project);
        let folder = self.folder.as_ref()?.join("projects").join(digest(&address));
        // A server that says nothing for ten seconds is not waited for.
        let git = Git::new(&folder)
            .with_variable("GIT_DIR", &folder)
            .with_setting("http.lowSpeedLimit=1")
            .with_setting("http.lowSpeedTime=10");
        Some(Repository { host: remote.fqdn(), address, folder, git })
    }

    /// The commit that a ref names, fetched unless it was before.
    fn commit(&self, repository: &Repository, name: &str) -> io::Result<String> {
        if name.starts_with('-') || name.contains([':', ' ', '\n', '^', '~', '+']) {
            return Err(io::Error::other(format!("`{name}` is no branch, tag or commit")));
        }
        let kept = format!("refs/includes/{}", digest(name));
        let known = || {
            let is_made = repository.folder.join("HEAD").exists();
            is_made.then(|| repository.git.maybe(&["rev-parse", "--verify", "--quiet", &kept])).flatten()
        };
        if let Some(commit) = known().filter(|_| !self.refresh || self.offline) {
            return Ok(commit);
        }
        self.online()?;
        let _alone = repository.make()?;
        // Another run may have fetched it while this one waited.
        if let Some(commit) = known().filter(|_| !self.refresh) {
            return Ok(commit);
        }
        let spec = format!("+{name}:{kept}");
        repository
            .git
            .text(&["fetch", "--quiet", "--no-tags", "--depth", "1", "origin", &spec])
            .map_err(|error| repository.failure(&error))?;
        known().ok_or_else(|| io::Error::other(format!("git fetched nothing for {name}")))
    }

    fn tags(&self, repository: &Repository) -> io::Result<Vec<String>> {
        self.online()?;
        let _alone = repository.make()?;
        let listing = repository
            .git
            .text(&["ls-remote", "--quiet", "--tags", "--refs", "origin"])
            .map_err(|error| repository.failure(&error))?;
        let names = listing.lines().filter_map(|line| line.split_once("refs/tags/"));
        Ok(names.map(|(_, name)| name.to_owned()).collect())
    }

    fn online(&self) -> io::Result<()> {
        if self.offline {
            return Err(io::Error::other("not fetched before, and --offline forbids it"));
        }
        Ok(())
    }
}

/// What was fetched of one project.
#[derive(Debug)]
struct Repository {
    host: String,
    address: String,
    folder: PathBuf,
    git: Git,
}

impl Repository {
    /// Makes the repository unless it is there, and keeps other runs from changing it until what is returned is dropped.
    ///
    /// The address goes into a file: a password in it must not be seen in the list of processes.
    fn make(&self) -> io::Result<std::fs::File> {
        crate::exec::state::make(&self.folder)?;
        let alone = crate::exec::state::lock(&self.folder)?;
        if self.git.succeeds(&["config", "--get", "remote.origin.url"]) {
            return Ok(alone);
        }
        let init = Git::new(&self.folder);
        init.text(&["init", "--quiet", "--bare", "--template=", "."]).map_err(io::Error::other)?;
        let mut config = std::fs::OpenOptions::new().append(true).open(self.folder.join("config"))?;
        let address = self.address.replace('\\', "\\\\").replace('"', "\\\"");
        config.write_all(format!("[remote \"origin\"]\n\turl = \"{address}\"\n").as_bytes())?;
        Ok(alone)
    }

    /// What git said, without the password.
    fn failure(&self, error: &GitError) -> io::Error {
        let text = match error {
            GitError::Failed { output, .. } => {
                let lines = output.lines().map(|line| line.strip_prefix("fatal: ").unwrap_or(line));
                let said: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
                format!("git cannot fetch from {}: {}", self.address, said.join("; "))
            }
            GitError::Start(_) => error.to_string(),
        };
        let secret = self.address.split_once("://").and_then(|(_, rest)| rest.split_once('@'));
        io::Error::other(match secret {
            Some((secret, _)) if !secret.is_empty() => text.replace(secret, "[MASKED]"),
            _ => text,
        })
    }
}
