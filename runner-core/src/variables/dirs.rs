//! [`JobDirs`]: the folders of one job.

use std::path::{Component, Path, PathBuf};

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use super::secrets::{authority, split_scheme};
use super::{GitStrategy, JobOptions, VariableInputs, Variables};
use crate::executor::Place;

/// The folders of one job; absolute, without a trailing slash.
///
/// | Folder | Shared place | Place of the job alone |
/// | --- | --- | --- |
/// | project | `BUILDS/SHORT_TOKEN/SLOT/GROUP/PROJECT` | `BUILDS/GROUP/PROJECT` |
/// | temporary | project with `.tmp` appended | same |
/// | cache | `CACHE/GROUP/PROJECT` | same |
///
/// `GROUP/PROJECT` is the path of the repository's URL; a URL without a host or a usable path gives `project-ID`. The
/// strategy `empty` appends `-empty` to the last part. `GIT_CLONE_PATH`, where allowed, replaces the project's folder as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobDirs {
    /// Root of all projects' folders: `CI_BUILDS_DIR`.
    pub builds_dir: String,
    /// Where the project is checked out and scripts run: `CI_PROJECT_DIR`.
    pub project_dir: String,
    /// File variables and the like: `RUNNER_TEMP_PROJECT_DIR`. Beside the project, so that neither `git clean` nor artifacts
    /// touch it.
    pub temp_dir: String,
    /// Local cache archives of the project.
    pub cache_dir: String,
    /// Whether other jobs use the same folders.
    pub shared: bool,
}

/// Why a job cannot have its folders: an error of configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DirsError {
    /// A root folder is missing or relative.
    #[error("the {what} must be an absolute path, got \"{path}\"")]
    Root {
        /// Which one.
        what: &'static str,
        /// Its path.
        path: String,
    },
    /// The runner does not allow `GIT_CLONE_PATH`.
    #[error("setting GIT_CLONE_PATH is not allowed, enable `custom_build_dir` feature")]
    ClonePathNotAllowed,
    /// `GIT_CLONE_PATH` leaves the builds folder.
    #[error("the GIT_CLONE_PATH=\"{path}\" has to be within \"{root}\"")]
    ClonePathOutside {
        /// What the job asked for.
        path: String,
        /// The builds folder.
        root: String,
    },
}

impl JobDirs {
    /// Lays out the folders of a job in a place.
    ///
    /// # Errors
    /// When the place's roots are not usable, or `GIT_CLONE_PATH` is not.
    pub fn new(inputs: &VariableInputs<'_>, place: &Place) -> Result<Self, DirsError> {
        let builds_dir = root("builds folder", &place.builds_dir)?;
        let cache_root = root("cache folder", &place.cache_dir)?;
        let info = &inputs.job.job_info;
        let mut slug = project_slug(&inputs.job.git_info.repo_url)
            // A repository on this machine has no host in its URL; the project's path is the same folder.
            .or_else(|| usable_path(&info.project_full_path))
            .unwrap_or_else(|| format!("project-{}", info.project_id));
        let first = Self::layout(inputs, place, &builds_dir, &cache_root, &slug);
        // The options may refer to folders, and folders depend on two options: one round is all that expansion does anyway.
        let options = JobOptions::of(inputs, &Variables::build(inputs, Some(&first)));
        if options.git_strategy == GitStrategy::Empty {
            slug.push_str("-empty");
        }
        let mut dirs = Self::layout(inputs, place, &builds_dir, &cache_root, &slug);
        if let Some(path) = options.clone_path {
            dirs.project_dir = clone_path(&path, &builds_dir, inputs.settings.custom_build_dir)?;
            dirs.temp_dir = format!("{}.tmp", dirs.project_dir);
        }
        Ok(dirs)
    }

    fn layout(
        inputs: &VariableInputs<'_>,
        place: &Place,
        builds_dir: &str,
        cache_root: &str,
        slug: &str,
    ) -> Self {
        let project_dir = if place.shared {
            format!("{builds_dir}/{}/{}/{slug}", inputs.runner.token.short(), inputs.slots.project)
        } else {
            format!("{builds_dir}/{slug}")
        };
        Self {
            builds_dir: if builds_dir.is_empty() { "/".to_owned() } else { builds_dir.to_owned() },
            temp_dir: format!("{project_dir}.tmp"),
            project_dir,
            cache_dir: format!("{cache_root}/{slug}"),
            shared: place.shared,
        }
    }
}

/// The root without trailing slashes; `/` becomes the empty text.
fn root(what: &'static str, path: &str) -> Result<String, DirsError> {
    if path.starts_with('/') {
        Ok(path.trim_end_matches('/').to_owned())
    } else {
        Err(DirsError::Root { what, path: path.to_owned() })
    }
}

/// Path of a repository's URL without `.git`; `None` for what is no URL, has no host or no usable path.
fn project_slug(repo_url: &str) -> Option<String> {
    let (_, rest) = split_scheme(repo_url)?;
    let host = authority(rest);
    if host.rsplit('@').next().is_none_or(str::is_empty) {
        return None;
    }
    let path = rest[host.len()..].split(['?', '#']).next().unwrap_or_default();
    // Read as text: a parser of URLs would resolve the dots that are refused below.
    let path = percent_decode_str(path).decode_utf8().ok()?;
    usable_path(path.strip_suffix(".git").unwrap_or(&path))
}

/// The path as a folder below another one; `None` when it is none.
fn usable_path(path: &str) -> Option<String> {
    if path.contains("..") || path.contains('\0') {
        return None;
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    (!parts.is_empty()).then(|| parts.join("/"))
}

fn clone_path(path: &str, builds_dir: &str, allowed: bool) -> Result<String, DirsError> {
    if !allowed {
        return Err(DirsError::ClonePathNotAllowed);
    }
    let outside = || DirsError::ClonePathOutside { path: path.to_owned(), root: builds_dir.to_owned() };
    let mut clean = PathBuf::from("/");
    for component in Path::new(path).components() {
        match component {
            Component::Normal(part) => clean.push(part),
            Component::ParentDir => {
                clean.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    // The builds folder itself is refused: deleting "the project" would delete every project, and its `.tmp` lies outside.
    let inside = clean.strip_prefix(format!("{builds_dir}/")).is_ok_and(|rest| rest != Path::new(""));
    if !path.starts_with('/') || path.contains('\0') || !inside {
        return Err(outside());
    }
    clean.into_os_string().into_string().map_err(|_| outside())
}

#[cfg(test)]
mod tests {
    use super::{DirsError, clone_path, project_slug, usable_path};

    #[test]
    fn slugs() {
        for (url, expected) in [
            ("https://gitlab-ci-token:JT@gitlab.example.com/group/project.git", Some("group/project")),
            ("https://gitlab.example.com/gitlab/group/sub/project", Some("gitlab/group/sub/project")),
            ("ssh://git@gitlab.example.com:2222/group/project.git", Some("group/project")),
            ("https://h//group//./project.git", Some("group/project")),
            ("https://h/a%20b/c.git", Some("a b/c")),
            ("https://h/", None),
            ("https://h", None),
            ("ssh://h/%2e%2e/x", None),
            ("https://h/a..b/x", None),
            ("https://h/a/../x", None),
            ("https://h/g/p.git?x=/..", Some("g/p")),
            ("https://u@/g/p", None),
            ("https://h/a%00b", None),
            ("file:///srv/project.git", None),
            ("/srv/project", None),
            ("git@gitlab.example.com:group/project.git", None),
            ("", None),
        ] {
            assert_eq!(project_slug(url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn project_paths() {
        for (path, expected) in [
            ("group/sub/project", Some("group/sub/project")),
            ("/group//project/", Some("group/project")),
            ("group/../../project", None),
            ("", None),
        ] {
            assert_eq!(usable_path(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn clone_paths_stay_inside() {
        assert_eq!(clone_path("/builds/go/src", "/builds", true).as_deref(), Ok("/builds/go/src"));
        assert_eq!(clone_path("/builds/a/../b/./c/", "/builds", true).as_deref(), Ok("/builds/b/c"));
        assert_eq!(clone_path("/builds/..x", "/builds", true).as_deref(), Ok("/builds/..x"));
        assert_eq!(clone_path("/x", "", true).as_deref(), Ok("/x"));
        for path in [
            "/other",
            "/builds",
            "/builds/",
            "/builds/..",
            "/builds/../other",
            "/buildsx/a",
            "relative",
            "builds/a",
        ] {
            assert!(
                matches!(clone_path(path, "/builds", true), Err(DirsError::ClonePathOutside { .. })),
                "{path}"
            );
        }
        assert_eq!(clone_path("/builds/x", "/builds", false), Err(DirsError::ClonePathNotAllowed));
    }
}
