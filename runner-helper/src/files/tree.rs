//! Writing below one folder without ever leaving it.
//!
//! Every path is resolved name by name from the folder's handle, and no name may be a symlink on the way: whatever lies in
//! the folder already, or is put there meanwhile, nothing is written elsewhere.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid, chownat, fchmod,
    fchown, futimens, mkdirat, openat, statat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;

/// A folder to write below.
#[derive(Debug)]
pub(crate) struct Tree {
    root: OwnedFd,
}

/// What an entry gets besides its content. What is absent stays as it came.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Attributes {
    /// Permission bits; others are not taken over.
    pub(crate) mode: Option<u32>,
    /// Seconds since 1970.
    pub(crate) modified: Option<i64>,
    /// User and group. Failing to set them is no error: only root can.
    pub(crate) owner: Option<(u32, u32)>,
}

/// Why something could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TreeError {
    #[error("the name leads out of the folder")]
    Outside,
    #[error("`{0}` is a symlink: nothing is written through it")]
    Symlink(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<Errno> for TreeError {
    fn from(errno: Errno) -> Self {
        Self::Io(errno.into())
    }
}

impl Tree {
    /// Opens the folder itself, which may be reached through symlinks.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        Ok(Self {
            root: openat(CWD, folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?,
        })
    }

    /// Creates an empty file for its owner alone; whatever was there is removed first. [`finish_file`] completes it.
    pub(crate) fn create_file(&self, path: &Path) -> Result<File, TreeError> {
        let (parent, name) = self.parent(path)?;
        remove(&parent, &name)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(openat(&parent, &name, flags, Mode::RUSR | Mode::WUSR)?))
    }

    /// Makes sure that there is a folder.
    pub(crate) fn create_folder(&self, path: &Path) -> Result<(), TreeError> {
        self.folder(path).map(|_| ())
    }

    /// Completes a folder when nothing more will be put into it.
    pub(crate) fn finish_folder(&self, path: &Path, attributes: Attributes) -> Result<(), TreeError> {
        finish(&self.folder(path)?, attributes)
    }

    /// Makes a symlink; whatever was there is removed first. Its target is only a text.
    pub(crate) fn create_symlink(
        &self,
        path: &Path,
        target: &OsStr,
        attributes: Attributes,
    ) -> Result<(), TreeError> {
        let (parent, name) = self.parent(path)?;
        remove(&parent, &name)?;
        symlinkat(target, &parent, &name)?;
        if let Some((user, group)) = attributes.owner {
            let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
            let _ = chownat(&parent, &name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW);
        }
        if let Some(modified) = attributes.modified {
            utimensat(&parent, &name, &times(modified), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Ok(())
    }

    /// The folder that a path lies in, created where needed, and the path's own name.
    fn parent(&self, path: &Path) -> Result<(OwnedFd, OsString), TreeError> {
        let name = path.file_name().ok_or(TreeError::Outside)?;
        Ok((self.folder(path.parent().unwrap_or(Path::new("")))?, name.to_owned()))
    }

    /// A folder, created where needed.
    fn folder(&self, path: &Path) -> Result<OwnedFd, TreeError> {
        let mut folder = self.root.try_clone()?;
        for component in path.components() {
            let name = match component {
                Component::Normal(name) => name,
                Component::CurDir => continue,
                Component::RootDir | Component::ParentDir | Component::Prefix(_) => {
                    return Err(TreeError::Outside);
                }
            };
            folder = enter(&folder, name)?;
        }
        Ok(folder)
    }
}

/// Completes a file whose content was written.
pub(crate) fn finish_file(file: &File, attributes: Attributes) -> Result<(), TreeError> {
    finish(file, attributes)
}

fn enter(folder: &OwnedFd, name: &OsStr) -> Result<OwnedFd, TreeError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(folder, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => {
            match mkdirat(folder, name, Mode::RWXU | Mode::RWXG | Mode::RWXO) {
                // Somebody else was faster.
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
            Ok(openat(folder, name, flags, Mode::empty())?)
        }
        Err(Errno::LOOP | Errno::NOTDIR) if is_symlink(folder, name) => {
            Err(TreeError::Symlink(name.to_string_lossy().into_owned()))
        }
        other => Ok(other?),
    }
}

fn is_symlink(folder: &OwnedFd, name: &OsStr) -> bool {
    statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Symlink)
}

/// Removes a file, a symlink or an empty folder.
fn remove(folder: &OwnedFd, name: &OsStr) -> Result<(), TreeError> {
    match unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => Ok(unlinkat(folder, name, AtFlags::REMOVEDIR)?),
        Err(errno) => Err(errno.into()),
    }
}

/// Owner first: changing it may clear mode bits.
fn finish(file: &impl AsFd, attributes: Attributes) -> Result<(), TreeError> {
    if let Some((user, group)) = attributes.owner {
        let _ = fchown(file, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)));
    }
    if let Some(mode) = attributes.mode {
        fchmod(file, Mode::from_raw_mode(mode & 0o777))?;
    }
    if let Some(modified) = attributes.modified {
        futimens(file, &times(modified))?;
    }
    Ok(())
}

fn times(modified: i64) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: modified, tv_nsec: 0 },
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn write(tree: &Tree, path: &str) -> Result<(), TreeError> {
        let mut file = tree.create_file(Path::new(path))?;
        file.write_all(path.as_bytes())?;
        finish_file(&file, Attributes { mode: Some(0o4750), modified: Some(1_000_000_000), owner: None })
    }

    #[test]
    fn files_get_their_folders_and_attributes() {
        let folder = tempfile::tempdir().unwrap();
        let tree = Tree::open(folder.path()).unwrap();
        write(&tree, "a/./b/c").unwrap();
        let path = folder.path().join("a/b/c");
        assert_eq!(fs::read_to_string(&path).unwrap(), "a/./b/c");
        let found = fs::metadata(&path).unwrap();
        assert_eq!(found.permissions().mode() & 0o7777, 0o750);
        let modified = found.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(modified.as_secs(), 1_000_000_000);
    }

    #[test]
    fn nothing_leaves_the_folder() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("in");
        fs::create_dir(&folder).unwrap();
        symlink("..", folder.join("up")).unwrap();
        symlink(outer.path(), folder.join("absolute")).unwrap();
        fs::write(outer.path().join("victim"), "untouched").unwrap();
        symlink("../victim", folder.join("link")).unwrap();
        let tree = Tree::open(&folder).unwrap();

        for path in ["../victim", "a/../../victim", "/victim", "..", "/", ""] {
            assert!(matches!(write(&tree, path), Err(TreeError::Outside)), "{path}");
        }
        for path in ["up/victim", "absolute/victim", "up/x/y"] {
            assert!(matches!(write(&tree, path), Err(TreeError::Symlink(_))), "{path}");
            assert!(tree.create_folder(Path::new(path)).is_err());
            assert!(tree.create_symlink(Path::new(path), OsStr::new("x"), Attributes::default()).is_err());
        }
        // A symlink in the place of the file is replaced, not followed.
        write(&tree, "link").unwrap();
        assert_eq!(fs::read_to_string(folder.join("link")).unwrap(), "link");
        assert_eq!(fs::read_to_string(outer.path().join("victim")).unwrap(), "untouched");
        assert_eq!(fs::read_dir(outer.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_is_there_is_removed_first() {
        let folder = tempfile::tempdir().unwrap();
        let tree = Tree::open(folder.path()).unwrap();
        fs::create_dir(folder.path().join("empty")).unwrap();
        fs::create_dir_all(folder.path().join("full/x")).unwrap();
        fs::write(folder.path().join("file"), "old").unwrap();
        write(&tree, "file").unwrap();
        write(&tree, "empty").unwrap();
        assert!(matches!(write(&tree, "full"), Err(TreeError::Io(_))));
        tree.create_symlink(
            Path::new("file"),
            OsStr::new("gone"),
            Attributes { modified: Some(5), ..Attributes::default() },
        )
        .unwrap();
        assert_eq!(fs::read_link(folder.path().join("file")).unwrap(), Path::new("gone"));
        let found = fs::symlink_metadata(folder.path().join("file")).unwrap();
        assert_eq!(found.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs(), 5);
    }

    #[test]
    fn a_folder_is_completed_last() {
        let folder = tempfile::tempdir().unwrap();
        let tree = Tree::open(folder.path()).unwrap();
        tree.create_folder(Path::new("a")).unwrap();
        write(&tree, "a/b").unwrap();
        tree.finish_folder(Path::new("a"), Attributes { mode: Some(0o711), modified: Some(7), owner: None })
            .unwrap();
        let found = fs::metadata(folder.path().join("a")).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, 0o711);
        assert_eq!(found.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs(), 7);
    }
}
