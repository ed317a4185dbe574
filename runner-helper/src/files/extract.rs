//! Extracting an archive below a folder.
//!
//! Files first; symlinks after all of them, so that no entry is written through an archived link; attributes of folders last.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use zip::ZipArchive;
use zip::extra_fields::ExtraField;
use zip::read::ZipFile;

use super::tree::{Attributes, Tree, TreeError, finish_file};

/// A symlink's target is a path: longer ones are no symlinks.
const LONGEST_TARGET: u64 = 4096;

const TYPE_MASK: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;

/// The extra field with user and group, of Info-ZIP.
const OWNER_FIELD: u16 = 0x7875;

/// What kind of archive a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Zip,
    Gzip,
    TarZstd,
}

/// Why an archive could not be extracted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExtractError {
    #[error("the archive cannot be read")]
    Archive(#[source] zip::result::ZipError),
    #[error("`{name}` cannot be extracted")]
    Entry {
        name: String,
        #[source]
        source: TreeError,
    },
    #[error("the folder cannot be opened")]
    Folder(#[source] io::Error),
}

impl Format {
    /// Looks at the first bytes. What has no known beginning is taken for zip, which can begin with anything.
    pub(crate) fn of(file: &mut File) -> io::Result<Self> {
        let mut magic = Vec::with_capacity(4);
        file.rewind()?;
        file.by_ref().take(4).read_to_end(&mut magic)?;
        file.rewind()?;
        Ok(match magic.as_slice() {
            [0x28, 0xb5, 0x2f, 0xfd] => Self::TarZstd,
            [0x1f, 0x8b, ..] => Self::Gzip,
            _ => Self::Zip,
        })
    }
}

/// Extracts a zip archive below `folder`. Stops at the first entry that cannot be extracted.
pub(crate) fn zip(archive: File, folder: &Path) -> Result<(), ExtractError> {
    let mut archive = ZipArchive::new(io::BufReader::new(archive)).map_err(ExtractError::Archive)?;
    let mut extraction = Extraction {
        tree: Tree::open(folder).map_err(ExtractError::Folder)?,
        symlinks: Vec::new(),
        folders: Vec::new(),
    };
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(ExtractError::Archive)?;
        let path = PathBuf::from(OsStr::from_bytes(entry.name_raw()));
        extraction.entry(entry, &path).map_err(|source| failed(&path, source))?;
    }
    extraction.finish()
}

/// The names of a zip archive's entries; those of folders without the slash.
pub(crate) fn names(archive: File) -> Result<BTreeSet<String>, ExtractError> {
    let archive = ZipArchive::new(io::BufReader::new(archive)).map_err(ExtractError::Archive)?;
    let names = archive.file_names().map(|name| Ok(name?.trim_end_matches('/').to_owned()));
    names.collect::<Result<_, _>>().map_err(ExtractError::Archive)
}

fn failed(path: &Path, source: TreeError) -> ExtractError {
    ExtractError::Entry { name: path.display().to_string(), source }
}

struct Extraction {
    tree: Tree,
    symlinks: Vec<(PathBuf, OsString, Attributes)>,
    folders: Vec<(PathBuf, Attributes)>,
}

impl Extraction {
    fn entry<R: Read>(&mut self, mut entry: ZipFile<'_, R>, path: &Path) -> Result<(), TreeError> {
        let attributes = attributes(&entry);
        if entry.is_dir() {
            self.tree.create_folder(path)?;
            self.folders.push((path.to_owned(), attributes));
        } else if entry.is_symlink() {
            let mut target = Vec::new();
            entry.by_ref().take(LONGEST_TARGET).read_to_end(&mut target)?;
            self.symlinks.push((path.to_owned(), OsString::from_vec(target), attributes));
        } else if entry.unix_mode().is_none_or(|mode| matches!(mode & TYPE_MASK, 0 | REGULAR)) {
            let mut file = self.tree.create_file(path)?;
            io::copy(&mut entry, &mut file)?;
            finish_file(&file, attributes)?;
        }
        // Pipes, sockets and devices are passed over.
        Ok(())
    }

    fn finish(self) -> Result<(), ExtractError> {
        for (path, target, attributes) in &self.symlinks {
            self.tree.create_symlink(path, target, *attributes).map_err(|source| failed(path, source))?;
        }
        // Inner folders first: an outer one may become read-only, and its time changes with its content.
        for (path, attributes) in self.folders.iter().rev() {
            self.tree.finish_folder(path, *attributes).map_err(|source| failed(path, source))?;
        }
        Ok(())
    }
}

fn attributes<R: Read>(entry: &ZipFile<'_, R>) -> Attributes {
    let default = if entry.is_dir() { 0o755 } else { 0o644 };
    let mut attributes =
        Attributes { mode: Some(entry.unix_mode().unwrap_or(default)), modified: None, owner: None };
    for field in entry.extra_data_fields() {
        match field {
            ExtraField::ExtendedTimestamp(times) => attributes.modified = times.mod_time().map(i64::from),
            ExtraField::Custom(field) if field.header_id == OWNER_FIELD => {
                attributes.owner = owner(&field.data);
            }
            _ => {}
        }
    }
    if attributes.modified.is_none() {
        attributes.modified = entry.last_modified().and_then(dos_time);
    }
    attributes
}

/// Version 1, then the size and the value of user and group.
fn owner(data: &[u8]) -> Option<(u32, u32)> {
    let number = |bytes: &[u8]| {
        let (size, rest) = bytes.split_first()?;
        let (value, rest) = rest.split_at_checked(usize::from(*size))?;
        let mut full = [0; 4];
        full.get_mut(..value.len())?.copy_from_slice(value);
        Some((u32::from_le_bytes(full), rest.to_vec()))
    };
    let (version, rest) = data.split_first()?;
    let (user, rest) = number(rest)?;
    let (group, _) = number(&rest)?;
    (*version == 1).then_some((user, group))
}

/// DOS times have no time zone: UTC is assumed.
fn dos_time(time: zip::DateTime) -> Option<i64> {
    let small = |number: u8| i8::try_from(number).ok();
    let civil = jiff::civil::DateTime::new(
        i16::try_from(time.year()).ok()?,
        small(time.month())?,
        small(time.day())?,
        small(time.hour())?,
        small(time.minute())?,
        small(time.second())?,
        0,
    )
    .ok()?;
    Some(jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()?.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners() {
        assert_eq!(owner(&[1, 4, 0xe8, 3, 0, 0, 4, 0x64, 0, 0, 0]), Some((1000, 100)));
        assert_eq!(owner(&[1, 2, 0xe8, 3, 1, 5]), Some((1000, 5)));
        for data in [&[][..], &[1], &[2, 1, 0, 1, 0], &[1, 4, 0], &[1, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]] {
            assert_eq!(owner(data), None, "{data:?}");
        }
    }

    #[test]
    fn dos_times_are_utc() {
        let time = zip::DateTime::from_date_and_time(2001, 9, 9, 1, 46, 40).unwrap();
        assert_eq!(dos_time(time), Some(1_000_000_000));
    }
}
