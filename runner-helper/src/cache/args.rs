//! The arguments of `cache-archiver`, `cache-extractor` and `cache-init`.

use std::path::PathBuf;

use clap::Args;

use crate::files::fatal::Fatal;

/// Arguments of `cache-archiver`.
#[derive(Debug, Clone, Args)]
pub struct ArchiverArgs {
    /// The archive.
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
    /// Where the archive may be under another name; it is taken when there is none under its own.
    #[arg(long, value_name = "FILE")]
    pub alternate_file: Option<PathBuf>,
    /// Path or pattern to add, relative to the current folder. Repeatable.
    #[arg(long = "path", value_name = "PATH")]
    pub paths: Vec<String>,
    /// Pattern to leave out. Repeatable.
    #[arg(long = "exclude", value_name = "PATTERN")]
    pub exclude: Vec<String>,
    /// Add the files that git does not track.
    #[arg(long)]
    pub untracked: bool,
    /// Tell about every file.
    #[arg(long)]
    pub verbose: bool,
    /// fastest, fast, default, slow or slowest.
    #[arg(long, env = "CACHE_COMPRESSION_LEVEL", value_name = "LEVEL", default_value = "default")]
    pub compression_level: String,
    /// zip.
    #[arg(long, env = "CACHE_COMPRESSION_FORMAT", value_name = "FORMAT", default_value = "zip")]
    pub compression_format: String,
    /// JSON object of texts that is kept beside the archive.
    #[arg(long, env = "CACHE_METADATA", value_name = "JSON", default_value = "")]
    pub metadata: String,
    /// An object storage.
    #[command(flatten)]
    pub storage: StorageArgs,
}

/// Arguments of `cache-extractor`.
#[derive(Debug, Clone, Args)]
pub struct ExtractorArgs {
    /// The archive.
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
    /// An object storage.
    #[command(flatten)]
    pub storage: StorageArgs,
}

/// Arguments that name an object storage. None of them works yet, and none is passed over in silence.
#[derive(Debug, Clone, Default, Args)]
pub struct StorageArgs {
    /// Minutes that one transfer may take. Nothing is transferred.
    #[arg(long, value_name = "MINUTES", default_value_t = 10)]
    pub timeout: u64,
    /// Address of the archive.
    #[arg(long)]
    pub url: Option<String>,
    /// Address that tells whether the archive is there.
    #[arg(long, alias = "head-url")]
    pub check_url: Option<String>,
    /// Address of the archive in the form of the Go Cloud library.
    #[arg(long)]
    pub gocloud_url: Option<String>,
    /// Address of the archive under another name.
    #[arg(long, alias = "alternate-head-url", alias = "alternate-gocloud-url")]
    pub alternate_url: Option<String>,
    /// File with further environment variables.
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// Header of the upload. Repeatable.
    #[arg(long = "header", value_name = "HEADER")]
    pub headers: Vec<String>,
}

/// Arguments of `cache-init`.
#[derive(Debug, Clone, Args)]
pub struct InitArgs {
    /// Folders that everybody may write to afterwards.
    #[arg(value_name = "FOLDER", required = true)]
    pub folders: Vec<PathBuf>,
}

impl StorageArgs {
    /// # Errors
    /// When an object storage is named.
    pub(super) fn refuse(&self) -> Result<(), Fatal> {
        let given = [
            ("--url", self.url.is_some()),
            ("--check-url or --head-url", self.check_url.is_some()),
            ("--gocloud-url", self.gocloud_url.is_some()),
            ("--alternate-url", self.alternate_url.is_some()),
            ("--env-file", self.env_file.is_some()),
            ("--header", !self.headers.is_empty()),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((flag, _)) => {
                Err(Fatal::NotSupported(format!("{flag}: caches are kept on this machine only")))
            }
            None => Ok(()),
        }
    }
}
