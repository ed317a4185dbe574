//! Which call of the Runner API a request is.

use std::fmt;
use std::str::FromStr;

use http::Method;

use super::ids::JobId;

/// A call of GitLab's Runner API. The text form is the one used in fault rules.
///
/// Documented at <https://docs.gitlab.com/api/runners/> and <https://docs.gitlab.com/api/jobs/>; the job calls are
/// internal to GitLab and its runners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// `POST runners/reset_authentication_token` and `POST runners/:id/reset_authentication_token`
    ResetToken,
    /// `GET runners/router/discovery`
    RouterDiscovery,
    /// `POST jobs/request`
    RequestJob,
    /// `PUT jobs/:id`
    UpdateJob,
    /// `PATCH jobs/:id/trace`
    PatchTrace,
    /// `POST jobs/:id/artifacts/authorize`: asked by GitLab's own reverse proxy before an upload, never by a runner.
    AuthorizeArtifact,
    /// `POST jobs/:id/artifacts`
    UploadArtifact,
    /// `GET jobs/:id/artifacts`
    DownloadArtifact,
    /// `GET /storage/…`: stands for the object storage that a direct download is redirected to.
    Storage,
}

impl Endpoint {
    /// Every endpoint.
    pub const ALL: [Self; 13] = [
        Self::Register,
        Self::Verify,
        Self::Unregister,
        Self::UnregisterManager,
        Self::ResetToken,
        Self::RouterDiscovery,
        Self::RequestJob,
        Self::UpdateJob,
        Self::PatchTrace,
        Self::AuthorizeArtifact,
        Self::UploadArtifact,
        Self::DownloadArtifact,
        Self::Storage,
    ];

    /// The text form: `patch_trace`, `request_job`, …
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
            Self::AuthorizeArtifact => "authorize_artifact",
            Self::UploadArtifact => "upload_artifact",
            Self::DownloadArtifact => "download_artifact",
            Self::Storage => "storage",
        }
    }

    /// Whether the call belongs to one job and is authorised by a job token.
    #[must_use]
    pub fn is_of_job(self) -> bool {
        matches!(
            self,
            Self::UpdateJob
                | Self::PatchTrace
                | Self::AuthorizeArtifact
                | Self::UploadArtifact
                | Self::DownloadArtifact
        )
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Endpoint {
    type Err = UnknownEndpoint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|endpoint| endpoint.as_str() == text)
            .ok_or_else(|| UnknownEndpoint(text.to_owned()))
    }
}

/// A text names no [`Endpoint`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown endpoint `{0}`; known are {known}", known = Endpoint::ALL.map(Endpoint::as_str).join(", "))]
pub struct UnknownEndpoint(String);

/// A request's endpoint with the id in its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) endpoint: Endpoint,
    /// `:id` of a job, `:id` of a runner, or the key of a storage object; empty when the path has none.
    pub(super) key: String,
}

impl Route {
    /// The job that the request concerns, by its path.
    pub(super) fn job(&self) -> Option<JobId> {
        let id = match self.endpoint {
            Endpoint::Storage => self.key.split_once('-')?.0,
            endpoint if endpoint.is_of_job() => &self.key,
            _ => return None,
        };
        id.parse().ok().map(JobId)
    }

    /// Finds the route of `method path`, where the API lives below `root` (empty, or `/sub/folder`).
    pub(super) fn find(root: &str, method: &Method, path: &str) -> Result<Self, NoRoute> {
        let below = path.strip_prefix(root).ok_or(NoRoute::Unknown)?;
        if let Some(key) = below.strip_prefix("/storage/") {
            let known = [(Method::GET, Endpoint::Storage)];
            return Self::pick(&known, method, key);
        }
        let below = below.strip_prefix("/api/v4/").ok_or(NoRoute::Unknown)?;
        let segments: Vec<&str> = below.split('/').collect();
        match segments.as_slice() {
            ["runners"] => Self::pick(
                &[(Method::POST, Endpoint::Register), (Method::DELETE, Endpoint::Unregister)],
                method,
                "",
            ),
            ["runners", "verify"] => Self::pick(&[(Method::POST, Endpoint::Verify)], method, ""),
            ["runners", "managers"] => {
                Self::pick(&[(Method::DELETE, Endpoint::UnregisterManager)], method, "")
            }
            ["runners", "reset_authentication_token"] => {
                Self::pick(&[(Method::POST, Endpoint::ResetToken)], method, "")
            }
            ["runners", id, "reset_authentication_token"] => {
                Self::pick(&[(Method::POST, Endpoint::ResetToken)], method, id)
            }
            ["runners", "router", "discovery"] => {
                Self::pick(&[(Method::GET, Endpoint::RouterDiscovery)], method, "")
            }
            ["jobs", "request"] => Self::pick(&[(Method::POST, Endpoint::RequestJob)], method, ""),
            ["jobs", id] => Self::pick(&[(Method::PUT, Endpoint::UpdateJob)], method, id),
            ["jobs", id, "trace"] => Self::pick(&[(Method::PATCH, Endpoint::PatchTrace)], method, id),
            ["jobs", id, "artifacts", "authorize"] => {
                Self::pick(&[(Method::POST, Endpoint::AuthorizeArtifact)], method, id)
            }
            ["jobs", id, "artifacts"] => Self::pick(
                &[(Method::POST, Endpoint::UploadArtifact), (Method::GET, Endpoint::DownloadArtifact)],
                method,
                id,
            ),
            _ => Err(NoRoute::Unknown),
        }
    }

    fn pick(known: &[(Method, Endpoint)], method: &Method, key: &str) -> Result<Self, NoRoute> {
        known
            .iter()
            .find(|(allowed, _)| allowed == method)
            .map(|&(_, endpoint)| Self { endpoint, key: key.to_owned() })
            .ok_or(NoRoute::Method)
    }
}

/// Why a request has no [`Route`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRoute {
    Unknown,
    Method,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(method: &Method, path: &str) -> Result<(Endpoint, String), NoRoute> {
        Route::find("", method, path).map(|route| (route.endpoint, route.key))
    }

    #[test]
    fn every_call_has_its_route() {
        let none = String::new;
        for (method, path, endpoint, key) in [
            (Method::POST, "/api/v4/runners", Endpoint::Register, none()),
            (Method::DELETE, "/api/v4/runners", Endpoint::Unregister, none()),
            (Method::POST, "/api/v4/runners/verify", Endpoint::Verify, none()),
            (Method::DELETE, "/api/v4/runners/managers", Endpoint::UnregisterManager, none()),
            (Method::POST, "/api/v4/runners/reset_authentication_token", Endpoint::ResetToken, none()),
            (
                Method::POST,
                "/api/v4/runners/7/reset_authentication_token",
                Endpoint::ResetToken,
                "7".to_owned(),
            ),
            (Method::GET, "/api/v4/runners/router/discovery", Endpoint::RouterDiscovery, none()),
            (Method::POST, "/api/v4/jobs/request", Endpoint::RequestJob, none()),
            (Method::PUT, "/api/v4/jobs/12", Endpoint::UpdateJob, "12".to_owned()),
            (Method::PATCH, "/api/v4/jobs/12/trace", Endpoint::PatchTrace, "12".to_owned()),
            (
                Method::POST,
                "/api/v4/jobs/12/artifacts/authorize",
                Endpoint::AuthorizeArtifact,
                "12".to_owned(),
            ),
            (Method::POST, "/api/v4/jobs/12/artifacts", Endpoint::UploadArtifact, "12".to_owned()),
            (Method::GET, "/api/v4/jobs/12/artifacts", Endpoint::DownloadArtifact, "12".to_owned()),
            (Method::GET, "/storage/12-archive", Endpoint::Storage, "12-archive".to_owned()),
        ] {
            assert_eq!(find(&method, path), Ok((endpoint, key)), "{path}");
        }
    }

    #[test]
    fn wrong_method_and_wrong_path_differ() {
        assert_eq!(find(&Method::GET, "/api/v4/jobs/request"), Err(NoRoute::Method));
        assert_eq!(find(&Method::GET, "/api/v3/jobs/request"), Err(NoRoute::Unknown));
        assert_eq!(find(&Method::GET, "/"), Err(NoRoute::Unknown));
    }

    #[test]
    fn the_api_may_live_in_a_sub_folder() {
        let route = Route::find("/sub/ci", &Method::POST, "/sub/ci/api/v4/jobs/request");
        assert_eq!(route.map(|route| route.endpoint), Ok(Endpoint::RequestJob));
        assert_eq!(Route::find("/sub/ci", &Method::POST, "/api/v4/jobs/request"), Err(NoRoute::Unknown));
    }

    #[test]
    fn text_form_round_trips() {
        for endpoint in Endpoint::ALL {
            assert_eq!(endpoint.as_str().parse(), Ok(endpoint));
        }
        let unknown = "patch_trac".parse::<Endpoint>().unwrap_err().to_string();
        assert!(unknown.contains("`patch_trac`") && unknown.contains("patch_trace"), "{unknown}");
    }
}
