//! The bare repository from which jobs fetch.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::checkout::Checkout;
use super::error::SourceError;
use crate::exec::git::Git;

/// A bare repository in the state folder that borrows the checkout's objects.
#[derive(Debug)]
pub(crate) struct Served {
    folder: PathBuf,
    git: Git,
}

impl Served {
    /// Makes an empty one in `folder`, which must not exist yet.
    pub(crate) fn create(folder: &Path, checkout: &Checkout) -> Result<Self, SourceError> {
        let state = |source| SourceError::State { path: folder.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(state)?;
        let git = Git::new(folder).with_variable("GIT_DIR", folder);
        let format = format!("--object-format={}", checkout.object_format);
        // No hooks of a template; refs as files, because they are written as such below.
        let init = Git::new(folder).with_variable("GIT_DEFAULT_REF_FORMAT", "files");
        init.text(&["init", "--quiet", "--bare", "--template=", &format, "."])?;
        // Jobs may ask for any commit, as they may at GitLab.
        git.text(&["config", "uploadpack.allowAnySHA1InWant", "true"])?;
        std::fs::create_dir_all(folder.join("objects/info")).map_err(state)?;
        let borrowed = alternates_line(&checkout.git_path("objects")?);
        std::fs::write(folder.join("objects/info/alternates"), borrowed).map_err(state)?;
        Ok(Self { folder: folder.to_owned(), git })
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its URL for git.
    pub(crate) fn url(&self) -> String {
        url::Url::from_file_path(&self.folder).map_or_else(|()| self.folder.display().to_string(), Into::into)
    }

    /// Git in the checkout that sees the objects stored here as well.
    pub(crate) fn reading_git(&self, checkout: &Checkout) -> Git {
        let objects = self.folder.join("objects");
        // The variable is a list: a colon in a path needs C's quoting.
        let quoted = if objects.to_string_lossy().contains([':', '"']) {
            let escaped = objects.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{escaped}\"").into()
        } else {
            objects.into_os_string()
        };
        checkout.git.clone().with_variable("GIT_ALTERNATE_OBJECT_DIRECTORIES", quoted)
    }

    /// Offers the refs that a job may look for: branches and tags of the checkout, as a server would have them, and on top
    /// the pipeline's own ref (`refs/heads/…` or `refs/tags/…`) and `refs/pipelines/ID` of each pipeline, all at `sha`.
    pub(crate) fn publish(
        &self,
        checkout: &Checkout,
        pipelines: &[u64],
        ref_path: &str,
        sha: &str,
    ) -> Result<(), SourceError> {
        let mut refs = server_refs(&checkout.git)?;
        refs.insert(ref_path.to_owned(), sha.to_owned());
        for pipeline in pipelines {
            refs.insert(format!("refs/pipelines/{pipeline}"), sha.to_owned());
        }
        let mut packed = String::new();
        for (name, target) in &refs {
            let _ = writeln!(packed, "{target} {name}");
        }
        let path = self.folder.join("packed-refs");
        std::fs::write(&path, packed).map_err(|source| SourceError::State { path, source })?;
        self.cut_history(checkout, sha)?;
        self.git.text(&["symbolic-ref", "HEAD", ref_path])?;
        Ok(())
    }

    /// A clone whose history is incomplete must say so where it is served from, or fetching stops at the missing objects.
    fn cut_history(&self, checkout: &Checkout, sha: &str) -> Result<(), SourceError> {
        let shallow = if checkout.is_partial() {
            format!("{sha}\n")
        } else if checkout.is_shallow() {
            let path = checkout.git_path("shallow")?;
            std::fs::read_to_string(&path).map_err(|source| SourceError::State { path, source })?
        } else {
            return Ok(());
        };
        let path = self.folder.join("shallow");
        std::fs::write(&path, shallow).map_err(|source| SourceError::State { path, source })
    }
}

/// Refs as a server has them: local branches, over them what the remote has, tags.
fn server_refs(git: &Git) -> Result<std::collections::BTreeMap<String, String>, SourceError> {
    let listing = git.text(&[
        "for-each-ref",
        "--format=%(objectname) %(refname) %(symref)",
        "refs/heads/",
        "refs/tags/",
        "refs/remotes/origin/",
    ])?;
    let mut refs = std::collections::BTreeMap::new();
    for line in listing.lines() {
        let mut parts = line.split(' ');
        let (Some(target), Some(name), symref) = (parts.next(), parts.next(), parts.next()) else { continue };
        if symref.is_some_and(|target| !target.is_empty()) {
            continue;
        }
        // Sorted by name: remote branches come after local ones and win.
        let name = name
            .strip_prefix("refs/remotes/origin/")
            .map_or_else(|| name.to_owned(), |b| format!("refs/heads/{b}"));
        refs.insert(name, target.to_owned());
    }
    Ok(refs)
}

/// A path with a quote at the beginning or a line end would be read as something else; git knows C's quoting here.
fn alternates_line(objects: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    let bytes = objects.as_os_str().as_bytes();
    let mut line = Vec::with_capacity(bytes.len() + 1);
    if bytes.starts_with(b"\"") || bytes.starts_with(b"#") || bytes.contains(&b'\n') {
        line.push(b'"');
        for byte in bytes {
            match byte {
                b'\n' => line.extend_from_slice(b"\\n"),
                b'"' | b'\\' => line.extend_from_slice(&[b'\\', *byte]),
                _ => line.push(*byte),
            }
        }
        line.push(b'"');
    } else {
        line.extend_from_slice(bytes);
    }
    line.push(b'\n');
    line
}
