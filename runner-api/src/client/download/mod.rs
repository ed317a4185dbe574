//! Downloading artifacts: as one stream or in parallel ranges into a target that can start again, or as one stream into a
//! plain writer that cannot.

mod content_range;
mod options;
mod ranges;
mod receive;
mod target;
mod writer;

pub use options::{DownloadOptions, Downloaded, RangeOptions};
pub use target::DownloadTarget;

use http::{HeaderValue, Method, header};
use url::Url;

use super::JobClient;
use super::exchange::Call;
use crate::endpoint::Endpoint;
use crate::error::Error;

impl JobClient {
    /// Downloads the job's artifacts archive. `target` is emptied first, and again when the download fails: it holds
    /// either everything or nothing. One broken connection fails the call, ranges aside; the caller decides about another
    /// try.
    ///
    /// A redirect is followed; the job's token is not taken to another origin. With
    /// [`DownloadOptions::ranges`] a large archive in an object storage is fetched in several parts at a time.
    ///
    /// Dropping the future leaves in `target` what has arrived by then.
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
        match options.ranges.filter(|_| target.can_write_at()) {
            Some(ranges) => self.download_in_ranges(options, ranges.within_bounds(), target).await,
            None => self.download_whole(options, target).await,
        }
    }

    async fn download_whole(
        &self,
        options: DownloadOptions,
        target: &mut dyn DownloadTarget,
    ) -> Result<Downloaded, Error> {
        let answer = self.client.exchange(self.artifact_call(options)?).await?;
        receive::whole(answer, target).await
    }

    /// The request for the archive at the instance itself.
    fn artifact_call(&self, options: DownloadOptions) -> Result<Call, Error> {
        let query: &[_] = if options.direct { &[("direct_download", "true")] } else { &[] };
        let path = ["jobs", &self.id.to_string(), "artifacts"];
        let url = self.client.shared.base.endpoint(&path, query);
        self.get(Endpoint::DownloadArtifact, url)
    }

    /// A request for bytes as they are: no token for other origins, no compression on the way.
    fn get(&self, endpoint: Endpoint, url: Url) -> Result<Call, Error> {
        let at_home = self.client.shared.base.same_origin(&url);
        let token = if at_home { self.token.expose() } else { "" };
        let call = Call::new(endpoint, Method::GET, url).token("job-token", token)?;
        Ok(call.header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity")))
    }
}
