//! `--artifacts-to`: the jobs' artifacts for the user.

use std::fs::File;
use std::path::{Path, PathBuf};

/// Extracts a job's archive below `folder`, into a folder named after the job. Names in the archive cannot lead out of it.
pub(super) fn extract(archive: &Path, folder: &Path, job: &str) -> Result<PathBuf, zip::result::ZipError> {
    let target = folder.join(folder_name(job));
    std::fs::create_dir_all(&target)?;
    zip::ZipArchive::new(File::open(archive)?)?.extract(&target)?;
    Ok(target)
}

/// How many files are in an archive; `None` when it cannot be read.
pub(super) fn count(archive: &Path) -> Option<usize> {
    let archive = zip::ZipArchive::new(File::open(archive).ok()?).ok()?;
    Some(archive.file_names().flatten().filter(|name| !name.ends_with('/')).count())
}

/// A job's name as that of one folder.
fn folder_name(job: &str) -> String {
    let name: String = job.chars().map(|c| if c == '/' || c.is_control() { '_' } else { c }).collect();
    match name.as_str() {
        "" | "." | ".." => format!("_{name}"),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::folder_name;

    #[test]
    fn names_are_one_folder() {
        assert_eq!(folder_name("test: [a/b, c]"), "test: [a_b, c]");
        assert_eq!(folder_name(".."), "_..");
    }
}
