//! Asking for a job.

use http::{Method, StatusCode};
use serde::Serialize;

use super::exchange::Call;
use super::{Client, RunnerCredentials};
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::info::RunnerInfo;
use crate::payload::{Job, UnreadableJob, Warning};
use crate::secret::SecretText;

/// Who asks for a job.
///
/// ```
/// use runner_api::{JobRequest, RunnerCredentials};
///
/// let request = JobRequest::new(RunnerCredentials::new("glrt-token").with_system_id("s_0123456789ab"));
/// assert!(request.session.is_none());
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JobRequest {
    /// The runner and its manager.
    pub credentials: RunnerCredentials,
    /// Where users can reach the job while it runs, when there is a session server.
    pub session: Option<SessionInfo>,
    /// Whether the server may hold the request until there is something new. It does so only if it is told the queue
    /// position, so that without holding the position is not sent, and the server looks for a job each time.
    pub may_be_held: bool,
}

impl JobRequest {
    /// A request without a session server, that may be held.
    ///
    /// ```
    /// use runner_api::{JobRequest, RunnerCredentials};
    ///
    /// assert!(JobRequest::new(RunnerCredentials::new("glrt-token")).may_be_held);
    /// ```
    #[must_use]
    pub fn new(credentials: RunnerCredentials) -> Self {
        Self { credentials, session: None, may_be_held: true }
    }
}

/// Where users can reach a job while it runs.
///
/// ```
/// let session = runner_api::SessionInfo::new("https://runner:8093/session/abc", "", "s3cret");
/// assert!(!format!("{session:?}").contains("s3cret"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// The address of the session.
    pub url: String,
    /// The session server's certificate, as PEM text; may be empty.
    pub certificate: String,
    /// What the server must show to get in.
    pub authorization: SecretText,
}

impl SessionInfo {
    /// A session at `url`.
    ///
    /// ```
    /// let session = runner_api::SessionInfo::new("https://runner:8093/session/abc", "", "s3cret");
    /// assert_eq!(session.url, "https://runner:8093/session/abc");
    /// ```
    pub fn new(
        url: impl Into<String>,
        certificate: impl Into<String>,
        authorization: impl Into<SecretText>,
    ) -> Self {
        Self { url: url.into(), certificate: certificate.into(), authorization: authorization.into() }
    }
}

/// What a job request gave.
///
/// ```
/// # fn start(_job: runner_api::Job) {}
/// fn handle(answer: runner_api::JobAnswer) {
///     match answer {
///         runner_api::JobAnswer::Job(job) => start(*job),
///         runner_api::JobAnswer::Unreadable(job) => eprintln!("{job}: fail job {:?}", job.id()),
///         _ => {}
///     }
/// }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum JobAnswer {
    /// A job for this runner.
    Job(Box<Job>),
    /// A job for this runner that cannot be run. It should be failed with the id and token that were found.
    Unreadable(Box<UnreadableJob>),
    /// There is nothing to do.
    NoJob,
}

impl Client {
    /// Asks for a job. The server may hold the request (a long poll, commonly up to 50 s) until there is one.
    ///
    /// Dropping the future abandons the request. A job that the server hands out at that very moment is lost to this
    /// runner; GitLab gives it back after its acceptance time or fails it after its time limit.
    ///
    /// Source: GitLab's Runner API, `POST /api/v4/jobs/request`.
    ///
    /// ```no_run
    /// use runner_api::{JobAnswer, JobRequest, RunnerCredentials};
    ///
    /// # async fn example(client: runner_api::Client) -> Result<(), runner_api::Error> {
    /// let request = JobRequest::new(RunnerCredentials::new("glrt-token"));
    /// match client.request_job(&request).await {
    ///     Ok(JobAnswer::Job(job)) => println!("job {}", job.id),
    ///     Ok(_) => println!("nothing to do"),
    ///     Err(error) if error.is_forbidden() => println!("this runner must not ask: {error}"),
    ///     Err(error) => println!("try again later: {error}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::is_forbidden`] and [`Error::is_configuration`] say that this runner cannot get jobs as it is; every
    /// other error is temporary. [`JobRefusal::of`](crate::JobRefusal::of) sorts them.
    pub async fn request_job(&self, request: &JobRequest) -> Result<JobAnswer, Error> {
        let token = request.credentials.token.expose();
        let last_update = self.last_update().filter(|_| request.may_be_held);
        let body = RequestBody {
            info: &self.info,
            token,
            system_id: request.credentials.system_id.as_deref().filter(|id| !id.is_empty()),
            last_update: last_update.as_deref(),
            session: request.session.as_ref().map(|session| SessionBody {
                url: &session.url,
                certificate: &session.certificate,
                authorization: session.authorization.expose(),
            }),
        };
        let url = self.shared.base.endpoint(&["jobs", "request"], &[]);
        let call = Call::new(Endpoint::RequestJob, Method::POST, url);
        let answer = self.exchange(call.token("runner-token", token)?.accept_json().json(&body)?).await?;
        match answer.status {
            StatusCode::CREATED => {}
            StatusCode::NO_CONTENT => {
                answer.drain().await;
                return Ok(JobAnswer::NoJob);
            }
            _ => return Err(answer.into_error().await),
        }

        let correlation_id = answer.request_id.clone();
        // The job is assigned, whatever the server calls its content.
        let content_type = (!answer.is_json()).then(|| answer.content_type_text());
        let (context, status) = (answer.context.clone(), answer.status);
        let (bytes, broken) = answer.job_bytes().await;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match Job::from_json(text) {
            Ok(job) => {
                let job = job.with_correlation_id(correlation_id);
                Ok(JobAnswer::Job(Box::new(match content_type {
                    Some(found) => {
                        job.with_warning(Warning::new("$", format!("expected JSON, announced as {found}")))
                    }
                    None => job,
                })))
            }
            Err(job) if job.id().is_some() && job.token().is_some() => {
                Ok(JobAnswer::Unreadable(Box::new(job)))
            }
            Err(job) => Err(broken.unwrap_or_else(|| Error::content(context, status, job.to_string(), None))),
        }
    }
}

#[derive(Serialize)]
struct RequestBody<'a> {
    info: &'a RunnerInfo,
    token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_update: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<SessionBody<'a>>,
}

#[derive(Serialize)]
struct SessionBody<'a> {
    url: &'a str,
    certificate: &'a str,
    authorization: &'a str,
}
