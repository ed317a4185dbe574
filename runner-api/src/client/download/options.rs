//! How to download, and what came of it.

/// How to download.
///
/// ```no_run
/// use runner_api::{DownloadOptions, RangeOptions};
///
/// # async fn example(job: runner_api::JobClient) -> Result<(), Box<dyn std::error::Error>> {
/// let mut options = DownloadOptions::default();
/// options.direct = true;
/// options.ranges = Some(RangeOptions::default());
/// let mut file = tokio::fs::File::create("artifacts.zip").await?;
/// let downloaded = job.download_artifact(options, &mut file).await?;
/// println!("{} bytes in {} parts", downloaded.bytes, downloaded.parts);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DownloadOptions {
    /// Whether the server may redirect to its object storage instead of sending the artifact itself.
    pub direct: bool,
    /// Whether and how to fetch a large artifact in several parts at a time. It takes an object storage to which the server
    /// redirects, and a target that [can write at a position](crate::DownloadTarget::can_write_at); in every other case the
    /// artifact comes as one stream.
    pub ranges: Option<RangeOptions>,
}

/// How to fetch a large artifact in parts. Memory does not grow with the artifact: about a megabyte per part at a time.
///
/// ```
/// let mut ranges = runner_api::RangeOptions::default();
/// assert_eq!((ranges.concurrency, ranges.chunk, ranges.threshold), (4, 16 << 20, 16 << 20));
/// ranges.concurrency = 8;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RangeOptions {
    /// How many parts at a time: 1 to 64; what is beyond counts as the nearest. Default: 4.
    pub concurrency: usize,
    /// The size of a part, in bytes: at least 1. Default: 16 MiB.
    pub chunk: u64,
    /// Artifacts of up to this many bytes come as one stream. Default: 16 MiB.
    pub threshold: u64,
}

impl Default for RangeOptions {
    fn default() -> Self {
        Self { concurrency: 4, chunk: 16 << 20, threshold: 16 << 20 }
    }
}

impl RangeOptions {
    pub(super) fn within_bounds(self) -> Self {
        Self { concurrency: self.concurrency.clamp(1, 64), chunk: self.chunk.max(1), ..self }
    }
}

/// A finished download.
///
/// ```no_run
/// # async fn example(job: runner_api::JobClient) -> Result<(), runner_api::Error> {
/// let mut archive = Vec::new();
/// let downloaded = job.download_artifact(Default::default(), &mut archive).await?;
/// assert_eq!(downloaded.bytes, archive.len() as u64);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Downloaded {
    /// How many bytes went to the target.
    pub bytes: u64,
    /// In how many parts they came: 1 for one stream that did not break.
    pub parts: u64,
    /// The announced content type.
    pub content_type: Option<String>,
    /// The id under which the server's logs know the download.
    pub request_id: String,
}
