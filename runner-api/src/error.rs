//! The one error of this crate: opaque, with predicates.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use http::{Method, StatusCode};

use crate::error_example::error_example;
use crate::retry;
use crate::transport::{CertificateProblem, TransportError, TransportErrorKind};

type Source = Box<dyn StdError + Send + Sync>;

/// Why a call did not give what was asked for.
///
/// The text names the method, the address (without query, user information or tokens), what happened and how often it
/// was tried. What a program wants to know is answered by the predicates.
///
/// ```
/// use runner_api::BaseUrl;
///
/// let error = BaseUrl::parse("ftp://gitlab.example.com").unwrap_err();
/// assert!(error.is_configuration());
/// assert!(!error.is_forbidden());
/// assert_eq!(error.status(), None);
/// assert_eq!(error.to_string(), "the instance URL has scheme `ftp`: only http or https are supported");
///
/// /// What an uploader does after an error.
/// fn next(error: &runner_api::Error) -> &'static str {
///     if error.is_forbidden() || error.is_too_large() || error.is_configuration() {
///         return "give up";
///     }
///     match error.retry_after() {
///         _ if error.is_unavailable() => "try often",
///         Some(_) => "wait as told, then try again",
///         None if error.is_retryable() => "try again",
///         None => "try again, but not often",
///     }
/// }
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    call: Option<CallContext>,
    source: Option<Source>,
}

#[derive(Debug)]
enum Kind {
    /// Settings that can never work.
    Configuration(String),
    Transport(TransportErrorKind),
    /// An answer with a status that is not the expected one.
    Status {
        status: StatusCode,
        message: Option<String>,
        retry_after: Option<Duration>,
    },
    /// The expected status, but not the expected content.
    Content {
        status: StatusCode,
        problem: String,
    },
    /// A redirect that cannot be followed.
    Redirect {
        status: StatusCode,
        problem: String,
    },
    /// The receiver of a download failed.
    Target,
    /// A download broke off behind bytes that cannot be taken back.
    Partial {
        written: u64,
    },
}

/// What every message of a call says.
#[derive(Debug, Clone)]
pub(crate) struct CallContext {
    pub(crate) method: Method,
    /// Without query and user information.
    pub(crate) url: String,
    pub(crate) tries: u32,
}

impl Error {
    /// Whether the server refused the token (403): a runner must not keep asking.
    ///
    #[doc = error_example!(status 403, "assert!(error.is_forbidden());")]
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.status() == Some(StatusCode::FORBIDDEN)
    }

    /// Whether the server refused for lack of a valid token (401).
    ///
    #[doc = error_example!(status 401, "assert!(error.is_unauthorized());")]
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        self.status() == Some(StatusCode::UNAUTHORIZED)
    }

    /// Whether the thing asked for does not exist (404).
    ///
    #[doc = error_example!(status 404, "assert!(error.is_not_found());")]
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(StatusCode::NOT_FOUND)
    }

    /// Whether something else was quicker (409): of a job request, another runner took the job.
    ///
    #[doc = error_example!(status 409, "assert!(error.is_conflict());")]
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.status() == Some(StatusCode::CONFLICT)
    }

    /// Whether the runner belongs to nobody any more (422, as an answer to a job request or a verification).
    ///
    #[doc = error_example!(status 422, "assert!(error.is_orphaned());")]
    #[must_use]
    pub fn is_orphaned(&self) -> bool {
        self.status() == Some(StatusCode::UNPROCESSABLE_ENTITY)
    }

    /// Whether what was sent is too large for the server (413).
    ///
    #[doc = error_example!(status 413, "assert!(error.is_too_large());")]
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.status() == Some(StatusCode::PAYLOAD_TOO_LARGE)
    }

    /// Whether the server is not available (503).
    ///
    #[doc = error_example!(status 503, "assert!(error.is_unavailable());")]
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.status() == Some(StatusCode::SERVICE_UNAVAILABLE)
    }

    /// Whether the request was refused because of too many requests (429).
    ///
    #[doc = error_example!(status 429, "assert!(error.is_rate_limited());")]
    #[must_use]
    pub fn is_rate_limited(&self) -> bool {
        self.status() == Some(StatusCode::TOO_MANY_REQUESTS)
    }

    /// Whether the settings can never work (address, certificates, proxy): trying again does not help.
    ///
    /// ```
    /// let error = runner_api::ClientBuilder::new("gitlab.example.com").unwrap_err();
    /// assert!(error.is_configuration());
    /// ```
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        matches!(self.0.kind, Kind::Configuration(_))
    }

    /// Whether no answer was received because a time limit passed.
    ///
    #[doc = error_example!(transport "Timeout", "assert!(error.is_timeout());")]
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.transport() == Some(TransportErrorKind::Timeout)
    }

    /// Whether the server was not reached, or not trusted: it has not looked at the request.
    ///
    #[doc = error_example!(transport "Connect", "assert!(error.is_connect());")]
    #[must_use]
    pub fn is_connect(&self) -> bool {
        matches!(self.transport(), Some(TransportErrorKind::Connect | TransportErrorKind::Certificate(_)))
    }

    /// Whether a certificate is wrong: the server's, or the client's own in the eyes of the server. The error's text
    /// says what to do about it.
    ///
    #[doc = error_example!(
        transport "Certificate(CertificateProblem::Expired)",
        "assert!(error.is_certificate());"
    )]
    #[must_use]
    pub fn is_certificate(&self) -> bool {
        self.certificate_problem().is_some()
    }

    /// What is wrong with a certificate.
    ///
    #[doc = error_example!(
        transport "Certificate(CertificateProblem::Expired)",
        "assert_eq!(error.certificate_problem(), Some(CertificateProblem::Expired));"
    )]
    #[must_use]
    pub fn certificate_problem(&self) -> Option<CertificateProblem> {
        match self.transport()? {
            TransportErrorKind::Certificate(problem) => Some(problem),
            _ => None,
        }
    }

    /// Whether no complete answer was received, for whatever reason.
    ///
    #[doc = error_example!(transport "Other", "assert!(error.is_transport());")]
    #[must_use]
    pub fn is_transport(&self) -> bool {
        self.transport().is_some()
    }

    /// Whether the transport was told to stop.
    ///
    #[doc = error_example!(transport "Cancelled", "assert!(error.is_cancelled());")]
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.transport() == Some(TransportErrorKind::Cancelled)
    }

    /// Whether the answer had the expected status but could not be understood.
    ///
    #[doc = error_example!(status 201, "assert!(error.is_content());")]
    #[must_use]
    pub fn is_content(&self) -> bool {
        matches!(self.0.kind, Kind::Content { .. })
    }

    /// Whether the receiver of a download failed, not the server.
    ///
    /// ```no_run
    /// # async fn example(job: runner_api::JobClient, mut file: tokio::fs::File) {
    /// if job.download_artifact(Default::default(), &mut file).await.is_err_and(|error| error.is_target()) {
    ///     println!("is the disk full?");
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn is_target(&self) -> bool {
        matches!(self.0.kind, Kind::Target)
    }

    /// Whether a [download into a writer](crate::JobClient::download_artifact_to) broke off behind bytes that cannot be
    /// taken back: the same writer must not be used for another try. The [source](StdError::source) tells why.
    ///
    /// ```no_run
    /// # async fn example(job: runner_api::JobClient, mut pipe: tokio::io::DuplexStream) {
    /// if job.download_artifact_to(Default::default(), &mut pipe).await.is_err_and(|error| error.is_partial()) {
    ///     println!("begin again with another pipe");
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn is_partial(&self) -> bool {
        matches!(self.0.kind, Kind::Partial { .. })
    }

    /// How many bytes of the artifact the writer of an [interrupted](Self::is_partial) download holds; 0 for every other
    /// error.
    ///
    /// ```no_run
    /// # async fn example(job: runner_api::JobClient, mut pipe: tokio::io::DuplexStream) {
    /// if let Err(error) = job.download_artifact_to(Default::default(), &mut pipe).await {
    ///     println!("the reader has {} bytes", error.bytes_written());
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        match self.0.kind {
            Kind::Partial { written } => written,
            _ => 0,
        }
    }

    /// Whether the same call may succeed later: a broken connection, a time limit, or a status that says so
    /// (408, 429, 500, 502, 503, 504, 512 and above).
    ///
    #[doc = error_example!(status 502, "assert!(error.is_retryable());")]
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.0.kind {
            Kind::Transport(kind) => {
                !matches!(kind, TransportErrorKind::Cancelled | TransportErrorKind::RequestBody)
            }
            Kind::Status { status, .. } => retry::is_retryable_status(status),
            _ => false,
        }
    }

    /// The status of the answer, if there was one.
    ///
    #[doc = error_example!(status 404, "assert_eq!(error.status(), Some(http::StatusCode::NOT_FOUND));")]
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self.0.kind {
            Kind::Status { status, .. } | Kind::Content { status, .. } | Kind::Redirect { status, .. } => {
                Some(status)
            }
            Kind::Configuration(_) | Kind::Transport(_) | Kind::Target | Kind::Partial { .. } => None,
        }
    }

    /// What the server said beside the status, if it said something readable.
    ///
    #[doc = error_example!(
        status 403,
        r#"// It has the text `{"message":"not now"}`."#,
        "assert_eq!(error.server_message(), Some(\"not now\"));"
    )]
    #[must_use]
    pub fn server_message(&self) -> Option<&str> {
        match &self.0.kind {
            Kind::Status { message, .. } => message.as_deref(),
            _ => None,
        }
    }

    /// How long the server asked to wait before the next try, at most 15 minutes.
    ///
    #[doc = error_example!(
        status 429,
        "// It has `Retry-After: 7`.",
        "assert_eq!(error.retry_after(), Some(std::time::Duration::from_secs(7)));"
    )]
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.0.kind {
            Kind::Status { retry_after, .. } => retry_after,
            _ => None,
        }
    }

    /// How many requests were sent; 0 when it did not come to that.
    ///
    #[doc = error_example!(status 503, "// The retry policy is off.", "assert_eq!(error.tries(), 1);")]
    #[must_use]
    pub fn tries(&self) -> u32 {
        self.0.call.as_ref().map_or(0, |call| call.tries)
    }

    fn transport(&self) -> Option<TransportErrorKind> {
        match self.0.kind {
            Kind::Transport(kind) => Some(kind),
            _ => None,
        }
    }
}

impl Error {
    fn new(kind: Kind, call: Option<CallContext>, source: Option<Source>) -> Self {
        Self(Box::new(Inner { kind, call, source }))
    }

    pub(crate) fn configuration(what: impl Into<String>) -> Self {
        Self::new(Kind::Configuration(what.into()), None, None)
    }

    pub(crate) fn configuration_from(what: impl Into<String>, source: impl Into<Source>) -> Self {
        Self::new(Kind::Configuration(what.into()), None, Some(source.into()))
    }

    pub(crate) fn invalid_url(what: impl Into<String>, source: url::ParseError) -> Self {
        Self::configuration_from(what, source)
    }

    pub(crate) fn from_transport(call: CallContext, source: TransportError) -> Self {
        // The kind already says what the error itself would say: the chain goes on with its cause.
        Self::new(Kind::Transport(source.kind()), Some(call), Some(source.into_source()))
    }

    pub(crate) fn from_status(
        call: CallContext,
        status: StatusCode,
        message: Option<String>,
        retry_after: Option<Duration>,
    ) -> Self {
        Self::new(Kind::Status { status, message, retry_after }, Some(call), None)
    }

    pub(crate) fn content(
        call: CallContext,
        status: StatusCode,
        problem: impl Into<String>,
        source: Option<Source>,
    ) -> Self {
        Self::new(Kind::Content { status, problem: problem.into() }, Some(call), source)
    }

    pub(crate) fn redirect(call: CallContext, status: StatusCode, problem: impl Into<String>) -> Self {
        Self::new(Kind::Redirect { status, problem: problem.into() }, Some(call), None)
    }

    pub(crate) fn target(call: CallContext, source: std::io::Error) -> Self {
        Self::new(Kind::Target, Some(call), Some(Box::new(source)))
    }

    pub(crate) fn partial(call: CallContext, written: u64, source: Self) -> Self {
        Self::new(Kind::Partial { written }, Some(call), Some(Box::new(source)))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, call, .. } = &*self.0;
        if let Some(call) = call {
            write!(f, "{} {}: ", call.method, call.url)?;
        }
        match kind {
            Kind::Configuration(what) => f.write_str(what)?,
            Kind::Transport(kind) => write!(f, "{kind}")?,
            Kind::Status { status, message, .. } => {
                write!(f, "{status}")?;
                if let Some(message) = message.as_ref().filter(|message| **message != status.to_string()) {
                    write!(f, " ({message})")?;
                }
            }
            Kind::Content { status, problem } | Kind::Redirect { status, problem } => {
                write!(f, "{status}, but {problem}")?;
            }
            Kind::Partial { written } => {
                write!(f, "broke off after {written} bytes, which cannot be taken back")?;
            }
            Kind::Target => f.write_str("the downloaded bytes could not be stored")?,
        }
        match call {
            Some(call) if call.tries > 1 => write!(f, ", tried {} times", call.tries),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("call", &self.0.call)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
