//! Whether a file is another one than before.

use std::fs::Metadata;
use std::path::Path;
use std::time::SystemTime;

/// What changes when a file is written or replaced. A change within one step of the file system's clock that keeps the
/// size and the place goes unnoticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    place: Place,
}

impl Stamp {
    /// `None` when there is no such file. Links are followed: where secrets are mounted, a link is what changes.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self { modified: metadata.modified().ok(), length: metadata.len(), place: Place::of(&metadata) })
    }
}

/// Device, inode, and when the inode changed.
#[cfg(unix)]
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place(u64, u64, i64, i64);

#[cfg(unix)]
impl Place {
    fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self(metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
    }
}

#[cfg(not(unix))]
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place;

#[cfg(not(unix))]
impl Place {
    fn of(_metadata: &Metadata) -> Self {
        Self
    }
}
