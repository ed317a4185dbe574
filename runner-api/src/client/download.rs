//! Downloading artifacts.

use std::io::{self, SeekFrom};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, StatusCode, header};
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

use super::JobClient;
use super::exchange::Call;
use crate::endpoint::Endpoint;
use crate::error::Error;

/// Where a download goes. It can be emptied, so that a failed try leaves nothing behind.
///
/// Implemented by [`tokio::fs::File`] (opened for writing) and by `Vec<u8>`.
///
/// ```
/// use runner_api::DownloadTarget;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let mut target = Vec::new();
/// target.write("half".into()).await?;
/// target.reset().await?;
/// target.write("whole".into()).await?;
/// assert_eq!(target, b"whole");
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[async_trait]
pub trait DownloadTarget: Send {
    /// Forgets everything that was written.
    async fn reset(&mut self) -> io::Result<()>;

    /// Appends a piece.
    async fn write(&mut self, piece: Bytes) -> io::Result<()>;

    /// Everything was written.
    async fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[async_trait]
impl DownloadTarget for Vec<u8> {
    async fn reset(&mut self) -> io::Result<()> {
        self.clear();
        Ok(())
    }

    async fn write(&mut self, piece: Bytes) -> io::Result<()> {
        self.extend_from_slice(&piece);
        Ok(())
    }
}

#[async_trait]
impl DownloadTarget for tokio::fs::File {
    async fn reset(&mut self) -> io::Result<()> {
        self.seek(SeekFrom::Start(0)).await?;
        self.set_len(0).await
    }

    async fn write(&mut self, piece: Bytes) -> io::Result<()> {
        self.write_all(&piece).await
    }

    async fn finish(&mut self) -> io::Result<()> {
        self.flush().await
    }
}

/// How to download.
///
/// ```
/// let mut options = runner_api::DownloadOptions::default();
/// options.direct = true;
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DownloadOptions {
    /// Whether the server may redirect to its object storage instead of sending the artifact itself.
    pub direct: bool,
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
    /// The announced content type.
    pub content_type: Option<String>,
    /// The id under which the server's logs know the download.
    pub request_id: String,
}

impl JobClient {
    /// Downloads the job's artifacts archive. `target` is emptied first, and again when the download fails: it holds
    /// either everything or nothing. One broken connection fails the call; the caller decides about another try.
    ///
    /// A redirect is followed; the job's token is not taken to another origin.
    ///
    /// Source: GitLab's Runner API, `GET /api/v4/jobs/:id/artifacts`.
    ///
    /// ```no_run
    /// # async fn example(client: runner_api::Client, job: runner_api::Job) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut options = runner_api::DownloadOptions::default();
    /// options.direct = true;
    /// for dependency in job.dependencies.iter().filter(|dependency| dependency.has_artifacts()) {
    ///     let token = dependency.token.clone().unwrap_or(job.token.clone());
    ///     let mut file = tokio::fs::File::create(format!("{}.zip", dependency.id)).await?;
    ///     client.job(dependency.id, token).download_artifact(options, &mut file).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Any status but 200: 401, 403 and 404 are final. [`Error::is_transport`] when the answer broke off;
    /// [`Error::is_target`] when `target` failed.
    pub async fn download_artifact(
        &self,
        options: DownloadOptions,
        target: &mut dyn DownloadTarget,
    ) -> Result<Downloaded, Error> {
        let query: &[_] = if options.direct { &[("direct_download", "true")] } else { &[] };
        let path = ["jobs", &self.id.to_string(), "artifacts"];
        let url = self.client.shared.base.endpoint(&path, query);
        let call = Call::new(Endpoint::DownloadArtifact, Method::GET, url)
            .token("job-token", self.token.expose())?;

        let mut answer = self.client.exchange(call).await?;
        if answer.status != StatusCode::OK {
            return Err(answer.into_error().await);
        }
        let failed = |source| Error::target(answer.context.clone(), source);
        target.reset().await.map_err(failed)?;
        let mut bytes = 0_u64;
        let copied = loop {
            match answer.body.chunk().await {
                Ok(Some(piece)) => {
                    bytes = bytes.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
                    if let Err(source) = target.write(piece).await {
                        break Err(failed(source));
                    }
                }
                Ok(None) => break target.finish().await.map_err(failed),
                Err(source) => break Err(Error::from_transport(answer.context.clone(), source)),
            }
        };
        if let Err(error) = copied {
            // The first error tells more than a second one would.
            let _ = target.reset().await;
            return Err(error);
        }
        let content_type = answer.header(header::CONTENT_TYPE.as_str()).map(str::to_owned);
        Ok(Downloaded { bytes, content_type, request_id: answer.request_id })
    }
}
