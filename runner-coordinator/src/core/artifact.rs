//! Stored artifacts.

use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

use bytes::Bytes;

/// A stored artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Artifact {
    /// `archive`, `junit`, `dotenv`, …
    pub artifact_type: String,
    /// `zip`, `gzip`, `raw`, …
    pub artifact_format: String,
    /// `expire_in` as sent.
    pub expire_in: Option<String>,
    /// When it can no longer be downloaded; never without. An `expire_in` that is no duration means never, as `never`
    /// does.
    pub expires_at: Option<SystemTime>,
    /// Name that the client gave the file.
    pub filename: String,
    /// Size in bytes.
    pub size: u64,
    /// CRC-32 of the content.
    pub crc32: u32,
    /// Where the content is.
    pub content: Content,
}

impl Artifact {
    /// A zip archive that never expires.
    pub(super) fn archive(file: PathBuf, size: u64, crc32: u32) -> Self {
        Self {
            artifact_type: "archive".to_owned(),
            artifact_format: "zip".to_owned(),
            expire_in: None,
            expires_at: None,
            filename: "artifacts.zip".to_owned(),
            size,
            crc32,
            content: Content::File(file),
        }
    }

    /// Whether it can no longer be downloaded.
    #[must_use]
    pub fn is_expired(&self, now: SystemTime) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// The entity tag under which it is sent: differs when the content does.
    #[must_use]
    pub fn etag(&self) -> String {
        format!("\"{:x}-{:08x}\"", self.size, self.crc32)
    }
}

/// Where the content of an [`Artifact`] is.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// In memory.
    Bytes(Bytes),
    /// In a file that belongs to whoever stored it; the core never touches it.
    File(PathBuf),
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::File(path) => write!(f, "File({})", path.display()),
        }
    }
}
