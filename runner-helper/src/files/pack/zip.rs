//! A zip archive, written in one pass.
//!
//! Sizes follow the content of each entry, so nothing has to be known or kept before it is sent. Entries that may reach
//! 4 GiB use the 64-bit form from the beginning.

use std::cell::Cell;
use std::fs::{self, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use zip::write::{FullFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::{Level, about, regular_file};

/// From this size on, the 64-bit form: far enough below 4 GiB that incompressible content does not get there.
const LARGE: u64 = 0xf000_0000;

/// The extra field with user and group, of Info-ZIP.
const OWNER_FIELD: u16 = 0x7875;

pub(super) fn write(folder: &Path, files: &[PathBuf], level: Level, to: &mut dyn Write) -> io::Result<()> {
    let discard = Rc::new(Cell::new(false));
    let mut archive = ZipWriter::new_stream(Sink { to, discard: Rc::clone(&discard) });
    let written = files.iter().try_for_each(|file| {
        let name = file.to_string_lossy();
        entry(&mut archive, &folder.join(file), &name, level).map_err(|error| about(file, error))
    });
    match written {
        Ok(()) => archive.finish()?.into_inner().flush(),
        Err(error) => {
            // The writer completes the archive when it is dropped. A broken one must not look complete.
            discard.set(true);
            Err(error)
        }
    }
}

type Archive<'w> = ZipWriter<StreamWriter<Sink<'w>>>;

fn entry(archive: &mut Archive<'_>, path: &Path, name: &str, level: Level) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    let kind = found.file_type();
    if kind.is_dir() {
        archive.add_directory(name, options(&found)?)?;
    } else if kind.is_symlink() {
        let target = fs::read_link(path)?;
        archive.add_symlink(name, target.to_string_lossy(), options(&found)?)?;
    } else if kind.is_file() {
        let content = regular_file(path)?;
        let method = match level {
            Level::Fastest => CompressionMethod::Stored,
            _ => CompressionMethod::Deflated,
        };
        let options = options(&found)?
            .compression_method(method)
            .compression_level(deflate_level(level))
            .large_file(found.len() >= LARGE);
        archive.start_file(name, options)?;
        // A file that grows meanwhile ends where it ended: its entry may not be prepared for more.
        io::copy(&mut content.take(found.len()), archive)?;
    }
    // Pipes, sockets and devices are passed over.
    Ok(())
}

fn options(found: &Metadata) -> io::Result<FullFileOptions<'static, 'static>> {
    let mut owner = vec![1, 4];
    owner.extend_from_slice(&found.uid().to_le_bytes());
    owner.push(4);
    owner.extend_from_slice(&found.gid().to_le_bytes());
    let mut options = FullFileOptions::default().unix_permissions(found.mode() & 0o777);
    options.add_extra_field(OWNER_FIELD, owner, false)?;
    if let Some(time) = dos_time(found.mtime()) {
        options = options.last_modified_time(time);
    }
    match u32::try_from(found.mtime()) {
        Ok(modified) => Ok(options.with_extended_timestamp(Some(modified), None, None)?),
        Err(_) => Ok(options),
    }
}

fn deflate_level(level: Level) -> Option<i64> {
    match level {
        Level::Fastest => None,
        Level::Fast => Some(1),
        Level::Default => Some(5),
        Level::Slow => Some(7),
        Level::Slowest => Some(9),
    }
}

/// UTC, for programs that know nothing better. Years before 1980 cannot be told.
fn dos_time(seconds: i64) -> Option<DateTime> {
    let time = jiff::Timestamp::from_second(seconds).ok()?.to_zoned(jiff::tz::TimeZone::UTC).datetime();
    DateTime::from_date_and_time(
        u16::try_from(time.year()).ok()?,
        u8::try_from(time.month()).ok()?,
        u8::try_from(time.day()).ok()?,
        u8::try_from(time.hour()).ok()?,
        u8::try_from(time.minute()).ok()?,
        u8::try_from(time.second()).ok()?,
    )
    .ok()
}

/// Passes bytes on until told, or found out, that nobody wants them.
struct Sink<'w> {
    to: &'w mut dyn Write,
    discard: Rc<Cell<bool>>,
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.discard.get() {
            return Ok(bytes.len());
        }
        let written = self.to.write(bytes);
        self.discard.set(written.is_err());
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.discard.get() { Ok(()) } else { self.to.flush() }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::files::extract;

    fn packed(folder: &Path, files: &[&str], level: Level) -> io::Result<Vec<u8>> {
        let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
        let mut packed = Vec::new();
        write(folder, &files, level, &mut packed)?;
        Ok(packed)
    }

    fn unpacked(packed: &[u8]) -> tempfile::TempDir {
        let mut archive = tempfile::tempfile().unwrap();
        archive.write_all(packed).unwrap();
        let folder = tempfile::tempdir().unwrap();
        extract::zip(archive, folder.path()).unwrap();
        folder
    }

    fn fixture() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("d/e")).unwrap();
        fs::write(folder.path().join("d/run.sh"), "#!/bin/sh\n".repeat(1000)).unwrap();
        fs::write(folder.path().join("d/e/ü"), "").unwrap();
        symlink("/etc/passwd", folder.path().join("d/link")).unwrap();
        fs::set_permissions(folder.path().join("d/run.sh"), fs::Permissions::from_mode(0o750)).unwrap();
        fs::set_permissions(folder.path().join("d/e"), fs::Permissions::from_mode(0o555)).unwrap();
        let file = fs::File::open(folder.path().join("d/run.sh")).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(1_000_000_001)).unwrap();
        folder
    }

    #[test]
    fn what_is_packed_comes_out_again() {
        let from = fixture();
        for level in [Level::Fastest, Level::Fast, Level::Default, Level::Slow, Level::Slowest] {
            let packed = packed(from.path(), &["d", "d/e", "d/e/ü", "d/link", "d/run.sh"], level).unwrap();
            let to = unpacked(&packed);
            let script = to.path().join("d/run.sh");
            assert_eq!(fs::read_to_string(&script).unwrap(), "#!/bin/sh\n".repeat(1000));
            let found = fs::metadata(&script).unwrap();
            assert_eq!(found.mode() & 0o777, 0o750);
            assert_eq!(found.mtime(), 1_000_000_001);
            assert_eq!(fs::read_link(to.path().join("d/link")).unwrap(), Path::new("/etc/passwd"));
            assert_eq!(fs::metadata(to.path().join("d/e")).unwrap().mode() & 0o777, 0o555);
            assert!(to.path().join("d/e/ü").is_file());
            assert_eq!(packed.len() > 10_000, level == Level::Fastest, "{level:?}: {}", packed.len());
        }
    }

    #[test]
    fn other_programs_can_read_it() {
        let from = fixture();
        let files = ["d", "d/e/ü", "d/link", "d/run.sh"];
        for level in [Level::Fastest, Level::Default] {
            let file = from.path().join("a.zip");
            fs::write(&file, packed(from.path(), &files, level).unwrap()).unwrap();
            let tested = std::process::Command::new("python3")
                .args(["-c", "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); print(z.testzip(), sorted(z.namelist()))"])
                .arg(&file)
                .output();
            // Python is no requirement of this project.
            let Ok(tested) = tested else { return };
            let said = String::from_utf8_lossy(&tested.stdout).into_owned();
            assert_eq!(said.trim(), "None ['d/', 'd/e/ü', 'd/link', 'd/run.sh']", "{tested:?}");
        }
    }

    #[test]
    fn special_files_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
        let to = unpacked(&packed(folder.path(), &["socket"], Level::Default).unwrap());
        assert_eq!(fs::read_dir(to.path()).unwrap().count(), 0);
        drop(socket);
    }

    #[test]
    fn a_file_that_vanished_breaks_the_archive_visibly() {
        let from = fixture();
        let files = ["d/run.sh".into(), "gone".into()];
        let mut packed = Vec::new();
        let error = write(from.path(), &files, Level::Default, &mut packed).unwrap_err();
        assert!(error.to_string().starts_with("gone: "), "{error}");
        assert!(zip::ZipArchive::new(io::Cursor::new(packed)).is_err());
    }

    #[test]
    fn a_receiver_that_hangs_up_ends_the_packing() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let from = fixture();
        let error = write(from.path(), &["d/run.sh".into()], Level::Default, &mut Full).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn dos_times() {
        let time = dos_time(1_000_000_000).unwrap();
        assert_eq!((time.year(), time.month(), time.day(), time.hour(), time.minute()), (2001, 9, 9, 1, 46));
        assert!(dos_time(0).is_none());
    }
}
