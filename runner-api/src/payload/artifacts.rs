//! `artifacts`: what to upload at the end.

use super::lenient::{Fields, Object, lenient_text};
use super::steps::When;
use crate::text_enum::text_enum;

/// One upload at the end of a job. Reports arrive as further entries of their own type.
///
/// ```
/// use runner_api::payload::ArtifactFormat;
///
/// let job = runner_api::Job::from_json(
///     r#"{"id": 1, "token": "t", "artifacts": [{"paths": ["out/"], "artifact_type": "junit", "artifact_format": "gzip"}]}"#,
/// )?;
/// assert_eq!(job.artifacts[0].paths, ["out/"]);
/// assert_eq!(job.artifacts[0].artifact_format, Some(ArtifactFormat::Gzip));
/// # Ok::<(), runner_api::UnreadableJob>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArtifactSpec {
    /// The archive's name without extension, before variable expansion.
    pub name: String,
    /// Whether files that git does not track are added.
    pub untracked: bool,
    /// Paths and patterns to add, relative to the project folder.
    pub paths: Vec<String>,
    /// Patterns to leave out.
    pub exclude: Vec<String>,
    /// When to upload; absent means after a success.
    pub when: Option<When>,
    /// What it is for the server: `archive`, `junit`, `dotenv`, …
    pub artifact_type: String,
    /// How to pack; absent or empty means zip.
    pub artifact_format: Option<ArtifactFormat>,
    /// How long the server keeps it, in the server's words.
    pub expire_in: String,
}

impl Object for ArtifactSpec {
    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self {
            name: fields.take("name"),
            untracked: fields.take("untracked"),
            paths: fields.take("paths"),
            exclude: fields.take("exclude"),
            when: fields.take_optional("when").filter(|when: &When| !when.as_str().is_empty()),
            artifact_type: fields.take("artifact_type"),
            artifact_format: fields
                .take_optional("artifact_format")
                .filter(|format: &ArtifactFormat| !format.as_str().is_empty()),
            expire_in: fields.take("expire_in"),
        }
    }
}

text_enum! {
    /// How artifacts are packed.
    ///
    /// ```
    /// use runner_api::payload::ArtifactFormat;
    /// assert_eq!(ArtifactFormat::from("raw"), ArtifactFormat::Raw);
    /// ```
    pub enum ArtifactFormat {
        /// A zip archive, the default.
        Zip = "zip",
        /// Concatenated gzip members, one per file.
        Gzip = "gzip",
        /// The file as it is.
        Raw = "raw",
        /// A zip archive with Zstandard compression.
        ZipZstd = "zipzstd",
        /// A tar archive with Zstandard compression.
        TarZstd = "tarzstd",
    }
}

lenient_text!(ArtifactFormat);
