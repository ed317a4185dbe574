//! The bare repository from which jobs fetch.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::checkout::{Checkout, Refs};
use super::error::SourceError;
use crate::exec::git::Git;

/// A bare repository in the state folder that borrows the checkout's objects.
#[derive(Debug)]
pub(crate) struct Served {
    folder: PathBuf,
}

impl Served {
    /// Makes an empty one in `folder`, which must not exist yet. It is written here and not by git: three files, as
    /// gitrepository-layout(5) has them, without hooks of a template.
    pub(crate) fn create(folder: &Path, checkout: &Checkout) -> Result<Self, SourceError> {
        for part in ["objects/info", "objects/pack", "refs"] {
            std::fs::create_dir_all(folder.join(part)).map_err(state(folder))?;
        }
        let (version, extensions) = match checkout.object_format.as_str() {
            "sha1" => (0, String::new()),
            format => (1, format!("[extensions]\n\tobjectformat = {format}\n")),
        };
        let served = Self { folder: folder.to_owned() };
        // Jobs may ask for any commit, as they may at GitLab. What they fetch stays on this machine: packing is only in the way.
        served.write(
            "config",
            format!(
                "[core]\n\trepositoryformatversion = {version}\n\tfilemode = true\n\tbare = true\n{extensions}\
                 [uploadpack]\n\tallowAnySHA1InWant = true\n[pack]\n\tcompression = 0\n"
            ),
        )?;
        served.write("HEAD", "ref: refs/heads/main\n")?;
        served.write("objects/info/alternates", alternates_line(&checkout.paths().objects))?;
        Ok(served)
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
        let mut refs = server_refs(checkout.refs()?);
        refs.insert(ref_path.to_owned(), sha.to_owned());
        for pipeline in pipelines {
            refs.insert(format!("refs/pipelines/{pipeline}"), sha.to_owned());
        }
        let mut packed = String::new();
        for (name, target) in &refs {
            let _ = writeln!(packed, "{target} {name}");
        }
        self.write("packed-refs", packed)?;
        self.cut_history(checkout, sha)?;
        self.write("HEAD", format!("ref: {ref_path}\n"))
    }

    /// A clone whose history is incomplete must say so where it is served from, or fetching stops at the missing objects.
    fn cut_history(&self, checkout: &Checkout, sha: &str) -> Result<(), SourceError> {
        let shallow = if checkout.is_partial() {
            format!("{sha}\n")
        } else if checkout.is_shallow {
            let path = &checkout.paths().shallow;
            std::fs::read_to_string(path).map_err(state(path))?
        } else {
            return Ok(());
        };
        self.write("shallow", shallow)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> Result<(), SourceError> {
        let path = self.folder.join(name);
        std::fs::write(&path, text).map_err(state(&path))
    }
}

fn state(path: &Path) -> impl FnOnce(std::io::Error) -> SourceError {
    let path = path.to_owned();
    |source| SourceError::State { path, source }
}

/// Refs as a server has them: local branches, over them what the remote has, tags.
fn server_refs(known: &Refs) -> BTreeMap<String, String> {
    let mut refs = BTreeMap::new();
    // Sorted by name: remote branches come after local ones and win.
    for (name, target) in &known.objects {
        let name = name
            .strip_prefix("refs/remotes/origin/")
            .map_or_else(|| name.to_owned(), |b| format!("refs/heads/{b}"));
        refs.insert(name, target.to_owned());
    }
    refs
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
