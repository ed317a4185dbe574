//! One file out of a job's archive.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Longest configuration that a job may have made.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The text of `path` in a zip archive.
pub(super) fn read(archive: &Path, path: &str) -> io::Result<String> {
    let mut archive = zip::ZipArchive::new(File::open(archive)?)?;
    let file = match archive.by_name(path.trim_start_matches("./")) {
        Ok(file) => file,
        Err(zip::result::ZipError::FileNotFound) => {
            return Err(io::Error::other(format!("the job's artifacts hold no {path}")));
        }
        Err(error) => return Err(error.into()),
    };
    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("{path} is larger than 4 MiB")));
    }
    Ok(text)
}
