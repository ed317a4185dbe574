//! Which files an include names, and their texts.

use std::sync::Arc;

use super::super::error::CompileError;
use super::super::expand::Scope;
use super::super::expression::Lookup;
use super::super::files::Listing;
use super::super::foreign::{Foreign, Found, Home};
use super::super::glob::{is_wildcard, wildcard_matches};
use super::super::span::Span;
use super::super::suggest;
use super::entry::Kind;
use super::interpolate::Component;

/// A file that an include names.
#[derive(Debug)]
pub(super) struct Source {
    /// How it is called in messages.
    pub(super) name: String,
    pub(super) text: String,
    pub(super) home: Home,
    /// What it is told of itself if it is a component.
    pub(super) component: Option<Component>,
}

/// The files that can be included.
pub(super) struct Project<'p> {
    pub(super) files: &'p Listing<'p>,
    pub(super) scope: &'p Scope,
}

impl Project<'_> {
    /// The files that an include in a file of `home` names; `None` if they are nowhere to be had.
    pub(super) fn sources(
        &self,
        kind: &Kind,
        home: &Home,
        span: &Span,
    ) -> Result<Option<Vec<Source>>, CompileError> {
        match kind {
            Kind::Local(path) => self.local(path, home, span),
            Kind::Project { project, files, git_ref } => {
                let home = if self.is_own(project, git_ref.as_deref()) {
                    Home::Own
                } else {
                    let git_ref = git_ref.as_deref().filter(|git_ref| *git_ref != "HEAD").map(Arc::from);
                    Home::Project { path: Arc::from(project.as_str()), git_ref }
                };
                let files = files.iter().map(|file| self.file(&checked(file, span)?, &home, span));
                files.collect()
            }
            Kind::Component(address) => self.component(address, span),
            Kind::Remote { url, integrity } => {
                if !url.starts_with("https://") && !url.starts_with("http://") {
                    return Err(CompileError::new(
                        span,
                        format!("Remote file `{url}` has an invalid address!"),
                    ));
                }
                let source = self.elsewhere(&Foreign::Remote { url }, kind, span)?;
                if let (Some(integrity), Some(source)) = (integrity, &source) {
                    check_integrity(&source.text, integrity, url, span)?;
                }
                Ok(source.map(|source| vec![source]))
            }
            Kind::Template(name) => {
                if !name.ends_with(".gitlab-ci.yml") {
                    let message = format!("Template file `{name}` is not a valid location!");
                    return Err(CompileError::new(span, message).help("templates are named *.gitlab-ci.yml"));
                }
                Ok(self.elsewhere(&Foreign::Template { name }, kind, span)?.map(|source| vec![source]))
            }
            Kind::Artifact { artifact, job: None } => {
                let message =
                    format!("include:artifact {artifact}: the job is missing: {{artifact: …, job: …}}");
                Err(CompileError::new(span, message))
            }
            Kind::Artifact { artifact: path, job: Some(job) } => {
                Ok(self.elsewhere(&Foreign::Artifact { job, path }, kind, span)?.map(|source| vec![source]))
            }
        }
    }

    /// One file of the home, or those that match a wildcard.
    fn local(&self, path: &str, home: &Home, span: &Span) -> Result<Option<Vec<Source>>, CompileError> {
        if *home == Home::Nowhere {
            let message = format!("Local file `{path}` does not have project!");
            return Err(CompileError::new(span, message).help(
                "a file from an address or of the server has no project whose files it could include",
            ));
        }
        let path = checked(path, span)?;
        if !is_wildcard(&path) {
            return Ok(self.file(&path, home, span)?.map(|source| vec![source]));
        }
        let paths = match home {
            Home::Project { path: project, git_ref } => {
                match self.files.list_foreign(project, git_ref.as_deref(), span)? {
                    Some(listed) => wildcard_matches(&path, &listed),
                    None => return Ok(None),
                }
            }
            Home::Own | Home::Nowhere => wildcard_matches(&path, self.files.tracked(span)?),
        };
        paths.iter().map(|path| self.file(path, home, span)).collect()
    }

    fn file(&self, path: &str, home: &Home, span: &Span) -> Result<Option<Source>, CompileError> {
        let Home::Project { path: project, git_ref } = home else {
            let text = self.read(path, span)?.ok_or_else(|| {
                CompileError::new(span, format!("Local file `{path}` does not exist!"))
                    .help(self.near(path, span))
            })?;
            return Ok(Some(Source { name: path.to_owned(), text, home: home.clone(), component: None }));
        };
        let wanted = Foreign::Project { project, git_ref: git_ref.as_deref(), file: path };
        let kind = Kind::Project {
            project: project.to_string(),
            files: vec![path.to_owned()],
            git_ref: git_ref.as_ref().map(ToString::to_string),
        };
        self.elsewhere(&wanted, &kind, span)
    }

    /// What to do about a path that leads nowhere.
    fn near(&self, path: &str, span: &Span) -> String {
        let known = self.files.tracked(span).unwrap_or_default().iter().map(String::as_str);
        let mut files = known.filter(|file| file.ends_with(".yml") || file.ends_with(".yaml"));
        let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let near =
            suggest::closest(path, files.clone()).or_else(|| files.find(|file| name(file) == name(path)));
        near.map_or_else(
            || "the path starts at the root of the repository, and the file must be part of it".to_owned(),
            |near| format!("did you mean `{near}`? The path starts at the root of the repository"),
        )
    }

    /// A component: `host/group/project/name@version`, in `templates/` of its project.
    /// <https://docs.gitlab.com/ci/components/>
    fn component(&self, address: &str, span: &Span) -> Result<Option<Vec<Source>>, CompileError> {
        let (path, version) = address.rsplit_once('@').unwrap_or((address, ""));
        let parts = path.split_once('/').and_then(|(host, rest)| {
            let (project, name) = rest.rsplit_once('/')?;
            (!project.is_empty() && !name.is_empty()).then_some((host, project, name))
        });
        let Some((host, project, name)) = parts.filter(|_| !version.is_empty()) else {
            let message =
                format!("include:component {address}: a component is named host/project/name@version");
            return Err(CompileError::new(span, message));
        };
        let told = |sha: String, version: &str| Component {
            name: name.to_owned(),
            sha,
            version: version.to_owned(),
            reference: address.rsplit_once('@').map_or("", |(_, reference)| reference).to_owned(),
        };
        let own_host = self.scope.variable("CI_SERVER_FQDN").unwrap_or_default();
        if host == own_host && self.is_own(project, Some(version)) {
            let sha = self.scope.variable("CI_COMMIT_SHA").unwrap_or_default().to_owned();
            let mut source = self.own_component(name, address, span)?;
            source.component = Some(told(sha, version));
            return Ok(Some(vec![source]));
        }
        let wanted = Foreign::Component { host, project, name, version };
        let kind = Kind::Component(address.to_owned());
        let Some(mut source) = self.elsewhere(&wanted, &kind, span)? else { return Ok(None) };
        let found = match &source.home {
            Home::Project { git_ref: Some(git_ref), .. } => git_ref.to_string(),
            _ => version.to_owned(),
        };
        source.component = Some(told(found.clone(), &found));
        Ok(Some(vec![source]))
    }

    fn own_component(&self, name: &str, address: &str, span: &Span) -> Result<Source, CompileError> {
        for path in [format!("templates/{name}.yml"), format!("templates/{name}/template.yml")] {
            let path = checked(&path, span)?;
            if let Some(text) = self.read(&path, span)? {
                return Ok(Source { name: path, text, home: Home::Own, component: None });
            }
        }
        Err(CompileError::new(span, format!("include:component {address}: content not found"))
            .help(format!("neither templates/{name}.yml nor templates/{name}/template.yml exists")))
    }

    /// This very project, at the commit that is compiled.
    fn is_own(&self, project: &str, git_ref: Option<&str>) -> bool {
        let is = |name: &str, value: &str| self.scope.variable(name).is_some_and(|known| known == value);
        is("CI_PROJECT_PATH", project)
            && git_ref.is_none_or(|git_ref| {
                git_ref == "HEAD" || is("CI_COMMIT_SHA", git_ref) || is("CI_COMMIT_REF_NAME", git_ref)
            })
    }

    fn read(&self, path: &str, span: &Span) -> Result<Option<String>, CompileError> {
        self.files
            .read(path)
            .map_err(|error| CompileError::new(span, format!("cannot read `{path}`: {error}")))
    }

    fn elsewhere(
        &self,
        wanted: &Foreign<'_>,
        kind: &Kind,
        span: &Span,
    ) -> Result<Option<Source>, CompileError> {
        let found = self.files.foreign(wanted).map_err(|error| {
            CompileError::new(span, format!("{}: {error}", kind.describe())).help(kind.how_to_get())
        })?;
        let Some(Found { text, git_ref }) = found else { return Ok(None) };
        let git_ref: Option<Arc<str>> = git_ref.map(Arc::from);
        let (home, path) = match wanted {
            Foreign::Project { project, git_ref: asked, file } => {
                let git_ref = git_ref.or_else(|| asked.map(Arc::from));
                (Home::Project { path: Arc::from(*project), git_ref }, (*file).to_owned())
            }
            Foreign::Component { project, name, version, .. } => {
                let git_ref = git_ref.or_else(|| Some(Arc::from(*version)));
                (Home::Project { path: Arc::from(*project), git_ref }, format!("templates/{name}"))
            }
            Foreign::Remote { url } => (Home::Nowhere, (*url).to_owned()),
            Foreign::Template { name } => (Home::Nowhere, format!("template:{name}")),
            // What a job of this project made may include the project's files.
            Foreign::Artifact { job, path } => (Home::Own, format!("{path} of job {job}")),
        };
        let name = match wanted {
            // The ref as it was asked for: what it turned out to be changes with every commit.
            Foreign::Project { project, git_ref: Some(asked), file } => format!("{project}@{asked}:{file}"),
            _ => home.name(&path),
        };
        Ok(Some(Source { name, text, home, component: None }))
    }
}

/// A path from the root of the repository, without a leading slash.
fn checked(path: &str, span: &Span) -> Result<String, CompileError> {
    let trimmed = path.trim_start_matches('/');
    let trimmed = trimmed.strip_prefix("./").unwrap_or(trimmed);
    if trimmed.split('/').any(|part| part == "..") {
        return Err(CompileError::new(span, format!("Local file `{path}` is outside of the repository")));
    }
    if !trimmed.ends_with(".yml") && !trimmed.ends_with(".yaml") {
        return Err(CompileError::new(span, format!("Included file `{path}` does not have YAML extension!")));
    }
    Ok(trimmed.to_owned())
}

/// `integrity: sha256-BASE64`, as for scripts of web pages.
fn check_integrity(text: &str, integrity: &str, url: &str, span: &Span) -> Result<(), CompileError> {
    use sha2::{Digest, Sha256};
    let expected = integrity.strip_prefix("sha256-").and_then(from_base64).ok_or_else(|| {
        CompileError::new(span, "include integrity should be sha256- and the hash in base64")
    })?;
    if Sha256::digest(text.as_bytes()).as_slice() == expected {
        return Ok(());
    }
    let message = format!("include:remote {url}: the content does not match its `integrity`");
    Err(CompileError::new(span, message).help("the file has changed; look at it before you change the hash"))
}

/// The bytes of a text in base64; `None` for anything else.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}
