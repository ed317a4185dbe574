//! Which files of this project an include names.

use super::super::error::CompileError;
use super::super::expand::Scope;
use super::super::expression::Lookup;
use super::super::files::Listing;
use super::super::glob::{is_wildcard, wildcard_matches};
use super::super::span::Span;
use super::entry::Kind;

/// The project that is compiled.
pub(super) struct Project<'p> {
    pub(super) files: &'p Listing<'p>,
    pub(super) scope: &'p Scope,
}

impl Project<'_> {
    /// The files that an include names; `None` if they belong to somebody else.
    pub(super) fn paths(&self, kind: &Kind, span: &Span) -> Result<Option<Vec<String>>, CompileError> {
        match kind {
            Kind::Local(path) => self.local(path, span).map(Some),
            Kind::Project { project, files, git_ref } if self.is_own(project, git_ref.as_deref()) => {
                files.iter().map(|file| checked(file, span)).collect::<Result<_, _>>().map(Some)
            }
            Kind::Component(address) => self.component(address, span),
            Kind::Project { .. } | Kind::Remote(_) | Kind::Template(_) | Kind::Artifact { .. } => Ok(None),
        }
    }

    /// One file, or those that match a wildcard.
    fn local(&self, path: &str, span: &Span) -> Result<Vec<String>, CompileError> {
        let path = checked(path, span)?;
        if is_wildcard(&path) {
            Ok(wildcard_matches(&path, self.files.tracked(span)?))
        } else {
            Ok(vec![path])
        }
    }

    /// This very project, at the commit that is compiled.
    fn is_own(&self, project: &str, git_ref: Option<&str>) -> bool {
        let is = |name: &str, value: &str| self.scope.variable(name).is_some_and(|known| known == value);
        is("CI_PROJECT_PATH", project)
            && git_ref.is_none_or(|git_ref| {
                git_ref == "HEAD" || is("CI_COMMIT_SHA", git_ref) || is("CI_COMMIT_REF_NAME", git_ref)
            })
    }

    /// A component of this project: `host/group/project/name@version`, in `templates/`.
    /// <https://docs.gitlab.com/ci/components/>
    fn component(&self, address: &str, span: &Span) -> Result<Option<Vec<String>>, CompileError> {
        let Some((path, version)) = address.rsplit_once('@') else {
            let message =
                format!("include:component {address}: a component is named host/project/name@version");
            return Err(CompileError::new(span, message));
        };
        let host = self.scope.variable("CI_SERVER_FQDN").unwrap_or_default();
        let project = self.scope.variable("CI_PROJECT_PATH").unwrap_or_default();
        let Some(name) = path.strip_prefix(&format!("{host}/{project}/")).filter(|_| !project.is_empty())
        else {
            return Ok(None);
        };
        if !self.is_own(project, Some(version)) {
            return Ok(None);
        }
        for path in [format!("templates/{name}.yml"), format!("templates/{name}/template.yml")] {
            let path = checked(&path, span)?;
            let found = self
                .files
                .read(&path)
                .map_err(|error| CompileError::new(span, format!("cannot read `{path}`: {error}")))?;
            if found.is_some() {
                return Ok(Some(vec![path]));
            }
        }
        Err(CompileError::new(span, format!("include:component {address}: content not found"))
            .help(format!("neither templates/{name}.yml nor templates/{name}/template.yml exists")))
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
