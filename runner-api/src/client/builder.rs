//! Building a client, and what all clones of it share.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use http::HeaderValue;

use super::JobClient;
use super::rate::{Ceiling, RequestRate};
use crate::base_url::BaseUrl;
use crate::error::Error;
use crate::info::RunnerInfo;
use crate::observe::{NoObserver, Observer};
use crate::retry::RetryPolicy;
use crate::secret::JobToken;
use crate::transport::{TlsData, Transport};

/// A client of one GitLab instance's Runner API. Cloning is cheap; clones share connections and the queue position
/// ([`last_update`](Self::last_update)).
///
/// Use one client per runner token: the queue position belongs to the runner that asks.
///
/// All calls are cancel-safe in the sense that dropping their future abandons them; whether the server has carried out
/// an abandoned call is not known.
///
/// ```no_run
/// use runner_api::{ClientBuilder, JobAnswer, JobRequest, RunnerCredentials};
///
/// # async fn example() -> Result<(), runner_api::Error> {
/// let client = ClientBuilder::new("https://gitlab.example.com")?.build()?;
/// let request = JobRequest::new(RunnerCredentials::new("glrt-token"));
/// if let JobAnswer::Job(job) = client.request_job(&request).await? {
///     println!("job {}", job.id);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    pub(super) shared: Arc<Shared>,
    pub(super) info: Arc<RunnerInfo>,
    pub(super) retry: RetryPolicy,
    pub(super) observer: Arc<dyn Observer>,
}

pub(super) struct Shared {
    pub(super) base: BaseUrl,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) user_agent: HeaderValue,
    pub(super) now: Clock,
    pub(super) request_id: RequestIds,
    pub(super) ceiling: Option<Ceiling>,
    last_update: Mutex<Option<HeaderValue>>,
    pub(super) tls: Mutex<TlsData>,
}

type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;
type RequestIds = Arc<dyn Fn() -> String + Send + Sync>;

impl Client {
    /// A client for everything that is said about one job: updates, trace, artifacts. The pair of id and token may
    /// also be another job's, to download its artifacts.
    ///
    /// ```
    /// use runner_api::{ClientBuilder, JobToken};
    ///
    /// let client = ClientBuilder::new("https://gitlab.example.com")?.build()?;
    /// assert_eq!(client.job(42, JobToken::new("glcbt-1")).id(), 42);
    /// # Ok::<(), runner_api::Error>(())
    /// ```
    #[must_use]
    pub fn job(&self, id: u64, token: JobToken) -> JobClient {
        JobClient::new(self.clone(), id, token)
    }

    /// The same client with another retry policy.
    ///
    /// ```
    /// use runner_api::ClientBuilder;
    /// use runner_api::retry::RetryPolicy;
    ///
    /// let client = ClientBuilder::new("https://gitlab.example.com")?.build()?;
    /// let once = client.clone().with_retry(RetryPolicy::off());
    /// # Ok::<(), runner_api::Error>(())
    /// ```
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// The same client with another observer.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use runner_api::{CallReport, ClientBuilder, Observer};
    ///
    /// #[derive(Debug)]
    /// struct Log;
    ///
    /// impl Observer for Log {
    ///     fn call_ended(&self, report: &CallReport<'_>) {
    ///         println!("{} {:?}", report.endpoint, report.status);
    ///     }
    /// }
    ///
    /// let client = ClientBuilder::new("https://gitlab.example.com")?.build()?;
    /// let watched = client.with_observer(Arc::new(Log));
    /// # Ok::<(), runner_api::Error>(())
    /// ```
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// The same client telling something else about the runner.
    ///
    /// ```
    /// use runner_api::{ClientBuilder, RunnerInfo};
    ///
    /// let client = ClientBuilder::new("https://gitlab.example.com")?.build()?;
    /// let mut info = RunnerInfo::new("gitlab-runner", "19.4.0");
    /// info.executor = "kubernetes".to_owned();
    /// let of_this_entry = client.clone().with_info(info);
    /// # Ok::<(), runner_api::Error>(())
    /// ```
    #[must_use]
    pub fn with_info(mut self, info: RunnerInfo) -> Self {
        self.info = Arc::new(info);
        self
    }

    /// The address of the API.
    ///
    /// ```
    /// use runner_api::ClientBuilder;
    ///
    /// let client = ClientBuilder::new("https://gitlab.example.com")?.build()?;
    /// assert_eq!(client.base_url().host(), "gitlab.example.com");
    /// # Ok::<(), runner_api::Error>(())
    /// ```
    #[must_use]
    pub fn base_url(&self) -> &BaseUrl {
        &self.shared.base
    }

    /// The position in the server's job queue, as the server last told it (`X-GitLab-Last-Update`). It is sent with
    /// each job request, so that the server can answer at once or hold the request until something new is there.
    ///
    /// ```
    /// use runner_api::ClientBuilder;
    ///
    /// let client = ClientBuilder::new("https://gitlab.example.com")?.build()?;
    /// assert_eq!(client.last_update(), None, "nothing was asked yet");
    /// # Ok::<(), runner_api::Error>(())
    /// ```
    #[must_use]
    pub fn last_update(&self) -> Option<String> {
        let last_update = self.shared.last_update.lock().unwrap_or_else(PoisonError::into_inner);
        last_update.as_ref().and_then(|value| value.to_str().ok()).map(str::to_owned)
    }

    /// Remembers a queue position.
    pub(super) fn remember_last_update(&self, value: &HeaderValue) {
        if !value.is_empty() {
            *self.shared.last_update.lock().unwrap_or_else(PoisonError::into_inner) = Some(value.clone());
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base_url", &self.shared.base)
            .field("transport", &self.shared.transport)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

/// Builds a [`Client`].
///
/// ```
/// use runner_api::retry::RetryPolicy;
/// use runner_api::{ClientBuilder, RunnerInfo};
///
/// let client = ClientBuilder::new("https://gitlab.example.com")?
///     .user_agent("gitlab-runner 19.4.0 (main; rust; linux/amd64)")
///     .info(RunnerInfo::new("gitlab-runner", "19.4.0"))
///     .retry(RetryPolicy::off())
///     .build()?;
/// assert_eq!(client.base_url().as_str(), "https://gitlab.example.com/api/v4/");
/// # Ok::<(), runner_api::Error>(())
/// ```
#[derive(Clone)]
pub struct ClientBuilder {
    base: BaseUrl,
    transport: Option<Arc<dyn Transport>>,
    user_agent: String,
    info: RunnerInfo,
    retry: RetryPolicy,
    observer: Arc<dyn Observer>,
    now: Clock,
    request_id: RequestIds,
    rate: Option<RequestRate>,
}

impl ClientBuilder {
    /// A client of the instance at `url`, as a user writes it down ([`BaseUrl`] tells how it is read).
    ///
    /// ```
    /// use runner_api::ClientBuilder;
    ///
    /// let builder = ClientBuilder::new("https://gitlab.example.com/sub/")?;
    /// assert!(ClientBuilder::new("gitlab.example.com").unwrap_err().is_configuration());
    /// # Ok::<(), runner_api::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::is_configuration`] when `url` cannot be used.
    pub fn new(url: &str) -> Result<Self, Error> {
        let version = env!("CARGO_PKG_VERSION");
        let (os, machine) = (std::env::consts::OS, std::env::consts::ARCH);
        Ok(Self {
            base: BaseUrl::parse(url)?,
            transport: None,
            user_agent: format!("gitlab-runner {version} (runner-api; rust; {os}/{machine})"),
            info: RunnerInfo::new("gitlab-runner", version),
            retry: RetryPolicy::default(),
            observer: Arc::new(NoObserver),
            now: Arc::new(SystemTime::now),
            request_id: Arc::new(random_id),
            rate: None,
        })
    }

    /// Sends through `transport` instead of a default [`HttpTransport`](crate::transport::HttpTransport).
    ///
    /// ```
    /// use std::time::Duration;
    /// use runner_api::ClientBuilder;
    /// use runner_api::transport::HttpTransport;
    ///
    /// let transport = HttpTransport::builder().connect_timeout(Duration::from_secs(5)).build()?;
    /// let client = ClientBuilder::new("https://gitlab.example.com")?.transport(transport).build()?;
    /// # Ok::<(), runner_api::Error>(())
    /// ```
    #[must_use]
    pub fn transport(self, transport: impl Transport + 'static) -> Self {
        self.shared_transport(Arc::new(transport))
    }

    /// Sends through a transport that others use, too: clients of the same instance then share connections.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use runner_api::ClientBuilder;
    /// use runner_api::transport::{HttpTransport, Transport};
    ///
    /// let transport: Arc<dyn Transport> = Arc::new(HttpTransport::builder().build()?);
    /// let one = ClientBuilder::new("https://gitlab.example.com")?.shared_transport(Arc::clone(&transport)).build()?;
    /// let other = ClientBuilder::new("https://gitlab.example.com")?.shared_transport(transport).build()?;
    /// # Ok::<(), runner_api::Error>(())
    /// ```
    #[must_use]
    pub fn shared_transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// The `User-Agent`. GitLab reads name and version from `name version (branch; toolchain; os/machine)`.
    ///
    /// ```
    /// use runner_api::ClientBuilder;
    ///
    /// let builder = ClientBuilder::new("https://gitlab.example.com")?.user_agent("gitlab-runner 19.4.0 (main; rust; linux/amd64)");
    /// # Ok::<(), runner_api::Error>(())
    /// ```
    #[must_use]
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// What this client tells about the runner in registrations, job requests and updates.
    ///
    /// ```
    /// use runner_api::{ClientBuilder, RunnerInfo};
    ///
    /// let builder = ClientBuilder::new("https://gitlab.example.com")?.info(RunnerInfo::new("gitlab-runner", "19.4.0"));
    /// # Ok::<(), runner_api::Error>(())
    /// ```
    #[must_use]
    pub fn info(mut self, info: RunnerInfo) -> Self {
        self.info = info;
        self
    }

    /// How calls are repeated.
    ///
    /// ```
    /// use runner_api::{ClientBuilder, retry::RetryPolicy};
    ///
    /// let builder = ClientBuilder::new("https://gitlab.example.com")?.retry(RetryPolicy::default().with_attempts(3));
    /// # Ok::<(), runner_api::Error>(())
    /// ```
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// How many requests this client and its clones send at most. Default: as many as there are.
    ///
    /// ```
    /// use std::time::Duration;
    /// use runner_api::{ClientBuilder, RequestRate};
    ///
    /// let rate = RequestRate::every(Duration::from_millis(100));
    /// let client = ClientBuilder::new("https://gitlab.example.com")?.request_rate(rate).build()?;
    /// # Ok::<(), runner_api::Error>(())
    /// ```
    #[must_use]
    pub fn request_rate(mut self, rate: RequestRate) -> Self {
        self.rate = Some(rate);
        self
    }

    /// Who is told about every call.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use runner_api::{CallReport, ClientBuilder, Observer};
    ///
    /// #[derive(Debug)]
    /// struct Log;
    ///
    /// impl Observer for Log {
    ///     fn call_ended(&self, report: &CallReport<'_>) {
    ///         println!("{} took {:?}", report.endpoint, report.duration);
    ///     }
    /// }
    ///
    /// let builder = ClientBuilder::new("https://gitlab.example.com")?.observer(Arc::new(Log));
    /// # Ok::<(), runner_api::Error>(())
    /// ```
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// The wall clock, against which dates of the server are measured. Waiting itself uses tokio's clock.
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use runner_api::ClientBuilder;
    ///
    /// let builder = ClientBuilder::new("https://gitlab.example.com")?.wall_clock(|| SystemTime::UNIX_EPOCH);
    /// # Ok::<(), runner_api::Error>(())
    /// ```
    #[must_use]
    pub fn wall_clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.now = Arc::new(now);
        self
    }

    /// Where the ids of calls (`X-Request-Id`, 32 hexadecimal digits) come from, for simulations. Default: random.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use runner_api::ClientBuilder;
    ///
    /// let next = AtomicU64::new(1);
    /// let builder = ClientBuilder::new("https://gitlab.example.com")?
    ///     .request_ids(move || format!("{:032x}", next.fetch_add(1, Ordering::Relaxed)));
    /// # Ok::<(), runner_api::Error>(())
    /// ```
    #[must_use]
    pub fn request_ids(mut self, next: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.request_id = Arc::new(next);
        self
    }

    /// Builds the client.
    ///
    /// ```
    /// use runner_api::ClientBuilder;
    ///
    /// let client = ClientBuilder::new("https://gitlab.example.com")?.build()?;
    /// assert!(ClientBuilder::new("https://gitlab.example.com")?.user_agent("two\nlines").build().is_err());
    /// # Ok::<(), runner_api::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::is_configuration`] when the user agent is no header value, or when the default transport cannot be
    /// built.
    pub fn build(self) -> Result<Client, Error> {
        let user_agent = HeaderValue::from_str(&self.user_agent)
            .map_err(|source| Error::configuration_from("the user agent is not a header value", source))?;
        let transport = match self.transport {
            Some(transport) => transport,
            None => default_transport()?,
        };
        Ok(Client {
            shared: Arc::new(Shared {
                base: self.base,
                transport,
                user_agent,
                now: self.now,
                request_id: self.request_id,
                ceiling: self.rate.and_then(Ceiling::new),
                last_update: Mutex::new(None),
                tls: Mutex::default(),
            }),
            info: Arc::new(self.info),
            retry: self.retry,
            observer: self.observer,
        })
    }
}

/// A random UUID (version 4) without dashes. It only has to be unique, not secret.
fn random_id() -> String {
    let version = 0x4_u128 << 76;
    let variant = 0x8_u128 << 60;
    let random = fastrand::u128(..) & !(0xf << 76) & !(0xc << 60);
    format!("{:032x}", random | version | variant)
}

#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc-rs"))]
fn default_transport() -> Result<Arc<dyn Transport>, Error> {
    Ok(Arc::new(crate::transport::HttpTransport::builder().build()?))
}

#[cfg(not(any(feature = "tls-ring", feature = "tls-aws-lc-rs")))]
fn default_transport() -> Result<Arc<dyn Transport>, Error> {
    Err(Error::configuration(
        "there is no default transport without feature `tls-ring` or `tls-aws-lc-rs`: pass one in",
    ))
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("base_url", &self.base).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::random_id;

    #[test]
    fn ids_are_uuids_without_dashes() {
        let (one, two) = (random_id(), random_id());
        assert_ne!(one, two);
        for id in [one, two] {
            assert_eq!(id.len(), 32, "{id}");
            assert!(id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "{id}");
            assert!(id[12..].starts_with('4') && "89ab".contains(&id[16..17]), "{id}");
        }
    }
}
