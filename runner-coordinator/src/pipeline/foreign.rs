//! Files that do not lie in the project.

use std::sync::Arc;

/// A file of somewhere else that a configuration asks for. Texts are expanded.
///
/// Handed to [`ProjectFiles::foreign`](super::ProjectFiles::foreign). The kinds are those of `include`:
/// <https://docs.gitlab.com/ci/yaml/includes/>.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Foreign<'a> {
    /// `include:project`, and `include:local` in a file that came from another project.
    Project {
        /// Full path of the project.
        project: &'a str,
        /// Branch, tag or commit; `None` is the default branch.
        git_ref: Option<&'a str>,
        /// The file, relative to the root of the project.
        file: &'a str,
    },
    /// `include:component`: `templates/NAME.yml` or `templates/NAME/template.yml` of a project.
    Component {
        /// Host of the server, with a port unless it is the usual one.
        host: &'a str,
        /// Full path of the project.
        project: &'a str,
        /// Name of the component.
        name: &'a str,
        /// Version: a commit, a tag, a branch, `1` or `1.2` (the newest tag that begins so), or `~latest`.
        version: &'a str,
    },
    /// `include:remote`.
    Remote {
        /// Address.
        url: &'a str,
    },
    /// `include:template`: a file that comes with the server.
    Template {
        /// Name, such as `Jobs/Build.gitlab-ci.yml`.
        name: &'a str,
    },
    /// `include:artifact` of a trigger job: a file in the archive of a job of the parent pipeline.
    Artifact {
        /// Full name of the job.
        job: &'a str,
        /// Path in the archive.
        path: &'a str,
    },
}

/// A file of somewhere else that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its text.
    pub text: String,
    /// What the version or ref turned out to be: a commit or a tag. Files that this one includes from its own project are
    /// read there. `None` keeps what was asked for.
    pub git_ref: Option<String>,
}

impl From<String> for Found {
    fn from(text: String) -> Self {
        Self { text, git_ref: None }
    }
}

/// Whose files a file can include as its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Home {
    /// The project that is compiled.
    Own,
    /// Another project at a ref.
    Project { path: Arc<str>, git_ref: Option<Arc<str>> },
    /// No project: what comes from an address or with the server.
    Nowhere,
}

impl Home {
    /// How a file of this home is called in messages.
    pub(crate) fn name(&self, path: &str) -> String {
        match self {
            Self::Own | Self::Nowhere => path.to_owned(),
            Self::Project { path: project, git_ref: Some(git_ref) } => format!("{project}@{git_ref}:{path}"),
            Self::Project { path: project, git_ref: None } => format!("{project}:{path}"),
        }
    }
}
