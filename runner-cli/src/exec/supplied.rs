//! `--artifacts PROJECT:JOB=DIR`: artifacts of jobs of other pipelines, for `needs:project` and `needs:pipeline`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use runner_coordinator::core::JobId;
use runner_coordinator::http::Handle;
use runner_coordinator::pipeline::ForeignNeed;
use runner_coordinator::run::ArchiveInfo;
use zip::write::SimpleFileOptions;

use super::ExecError;
use super::state::RunFolder;

/// Archives that the user gave, by project (empty: another pipeline of this one) and job.
#[derive(Debug, Default)]
pub(super) struct Supplied {
    found: HashMap<(String, String), (JobId, ArchiveInfo)>,
}

impl Supplied {
    /// Makes the archives and hands them to the coordinator. `own` is the path of this project, if it has one.
    pub(super) fn new(
        arguments: &[String],
        here: &Path,
        own: Option<&str>,
        folder: &RunFolder,
        coordinator: &Handle,
    ) -> Result<Self, ExecError> {
        let mut supplied = Self::default();
        for text in arguments {
            let (project, job, path) = parts(text).ok_or_else(|| {
                ExecError::Usage(format!(
                    "--artifacts takes PROJECT:JOB=DIR or PROJECT:JOB=FILE.zip, with nothing in front of the colon for a \
                     job of this project, not {text}"
                ))
            })?;
            let source = here.join(path);
            let read = |error: io::Error| ExecError::Read { path: source.clone(), source: error };
            let file = if source.is_dir() {
                let target = folder.folder("supplied")?.join(format!("{}.zip", supplied.found.len()));
                pack(&source, &target).map_err(read)?;
                target
            } else {
                zip::ZipArchive::new(File::open(&source).map_err(read)?)
                    .map_err(|error| read(error.into()))?;
                source.clone()
            };
            let (size, crc32) = measure(&file).map_err(read)?;
            let id =
                coordinator.with(|coordinator, now| coordinator.add_archive(job, file, size, crc32, now));
            let project = if Some(project) == own { "" } else { project };
            let archive = ArchiveInfo { filename: "artifacts.zip".to_owned(), size };
            supplied.found.insert((project.to_owned(), job.to_owned()), (id, archive));
        }
        Ok(supplied)
    }

    /// The archive for an entry of `needs`.
    pub(super) fn find(&self, need: &ForeignNeed, own: Option<&str>) -> Option<(JobId, ArchiveInfo)> {
        let project = need.project.as_deref().filter(|project| Some(*project) != own).unwrap_or_default();
        self.found.get(&(project.to_owned(), need.job.clone())).cloned()
    }
}

/// Project, job and path. A project's path has neither a colon nor an equals sign; the name of a job may have a colon.
fn parts(text: &str) -> Option<(&str, &str, &str)> {
    let (project, rest) = text.split_once(':')?;
    let (job, path) = rest.split_once('=')?;
    let complete = !job.is_empty() && !path.is_empty() && !project.contains('=');
    complete.then_some((project.trim_matches('/'), job, path))
}

/// Packs a folder: files, folders, links as links, with their modes.
fn pack(folder: &Path, target: &Path) -> io::Result<()> {
    let mut archive = zip::ZipWriter::new(File::create(target)?);
    add(&mut archive, folder, Path::new(""))?;
    archive.finish()?.sync_data()
}

fn add(archive: &mut zip::ZipWriter<File>, folder: &Path, below: &Path) -> io::Result<()> {
    let mut entries: Vec<_> = std::fs::read_dir(folder)?.collect::<io::Result<_>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, name): (PathBuf, PathBuf) = (entry.path(), below.join(entry.file_name()));
        let data = path.symlink_metadata()?;
        let text = name.to_str().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, format!("the name {} is not UTF-8", path.display()))
        })?;
        let options = SimpleFileOptions::default()
            .unix_permissions(data.permissions().mode() & 0o7777)
            .large_file(data.len() > u64::from(u32::MAX));
        if data.is_dir() {
            archive.add_directory(text, options)?;
            add(archive, &path, &name)?;
        } else if data.is_symlink() {
            archive.add_symlink(text, std::fs::read_link(&path)?.to_string_lossy(), options)?;
        } else if data.is_file() {
            archive.start_file(text, options)?;
            io::copy(&mut File::open(&path)?, archive)?;
        }
    }
    Ok(())
}

/// Size and checksum of a file.
fn measure(path: &Path) -> io::Result<(u64, u32)> {
    let mut file = File::open(path)?;
    let mut hasher = crc32fast::Hasher::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut size = 0;
    loop {
        let read = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        hasher.update(bytes);
        size += bytes.len() as u64;
    }
    Ok((size, hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn what_is_named() {
        assert_eq!(parts("group/x:build=out"), Some(("group/x", "build", "out")));
        assert_eq!(parts(":test: [a, b]=/out=1"), Some(("", "test: [a, b]", "/out=1")));
        for text in ["build=out", "group/x=out", "x:=out", "x:build=", "x"] {
            assert_eq!(parts(text), None, "{text}");
        }
    }
}
