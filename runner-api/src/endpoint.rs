//! The calls of the Runner API, as a value for metrics and retry rules.

use std::fmt;

use http::Method;

/// One call of the Runner API.
///
/// ```
/// use runner_api::Endpoint;
///
/// assert_eq!(Endpoint::PatchTrace.to_string(), "patch_trace");
/// assert!(!Endpoint::Register.is_idempotent());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// `POST runners`
    Register,
    /// `POST runners/verify`
    Verify,
    /// `DELETE runners`
    Unregister,
    /// `DELETE runners/managers`
    UnregisterManager,
    /// `POST runners/reset_authentication_token`, by token or by id
    ResetToken,
    /// `GET runners/router/discovery`
    RouterDiscovery,
    /// `POST jobs/request`
    RequestJob,
    /// `PUT jobs/:id`
    UpdateJob,
    /// `PATCH jobs/:id/trace`
    PatchTrace,
    /// `POST jobs/:id/artifacts`
    UploadArtifact,
    /// `GET jobs/:id/artifacts`
    DownloadArtifact,
    /// `GET` of a part of an artifact, from the object storage that the server has named
    DownloadRange,
}

impl Endpoint {
    /// A stable name, for metrics and logs.
    ///
    /// ```
    /// assert_eq!(runner_api::Endpoint::RequestJob.as_str(), "request_job");
    /// ```
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Verify => "verify",
            Self::Unregister => "unregister",
            Self::UnregisterManager => "unregister_manager",
            Self::ResetToken => "reset_token",
            Self::RouterDiscovery => "router_discovery",
            Self::RequestJob => "request_job",
            Self::UpdateJob => "update_job",
            Self::PatchTrace => "patch_trace",
            Self::UploadArtifact => "upload_artifact",
            Self::DownloadArtifact => "download_artifact",
            Self::DownloadRange => "download_range",
        }
    }

    /// The call's HTTP method.
    ///
    /// ```
    /// assert_eq!(runner_api::Endpoint::PatchTrace.method(), http::Method::PATCH);
    /// ```
    #[must_use]
    pub fn method(self) -> Method {
        match self {
            Self::Unregister | Self::UnregisterManager => Method::DELETE,
            Self::RouterDiscovery | Self::DownloadArtifact | Self::DownloadRange => Method::GET,
            Self::UpdateJob => Method::PUT,
            Self::PatchTrace => Method::PATCH,
            Self::Register | Self::Verify | Self::ResetToken | Self::RequestJob | Self::UploadArtifact => {
                Method::POST
            }
        }
    }

    /// Whether the server's answers to the call move the position in its job queue (`X-GitLab-Last-Update`).
    pub(crate) fn tells_queue_position(self) -> bool {
        !matches!(
            self,
            Self::PatchTrace | Self::UploadArtifact | Self::DownloadArtifact | Self::DownloadRange
        )
    }

    /// Whether sending the call twice does no more than sending it once. A second registration would make a second
    /// runner; a second token reset would invalidate the token that the first one gave. A job request counts as
    /// idempotent: when an assigned job got lost on its way, asking again loses nothing more.
    ///
    /// ```
    /// use runner_api::Endpoint;
    ///
    /// assert!(Endpoint::UpdateJob.is_idempotent());
    /// assert!(!Endpoint::ResetToken.is_idempotent());
    /// ```
    #[must_use]
    pub fn is_idempotent(self) -> bool {
        !matches!(self, Self::Register | Self::ResetToken)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
