//! Why a request got no answer.

use std::error::Error as StdError;
use std::fmt;

use super::CertificateProblem;

/// Why a request got no answer.
///
/// ```
/// use runner_api::transport::{TransportError, TransportErrorKind};
///
/// let error = TransportError::new(TransportErrorKind::Connect, "connection refused");
/// assert_eq!(error.kind(), TransportErrorKind::Connect);
/// assert_eq!(error.to_string(), "cannot connect to the server");
/// ```
#[derive(Debug, thiserror::Error)]
#[error("{kind}")]
pub struct TransportError {
    kind: TransportErrorKind,
    source: Box<dyn StdError + Send + Sync>,
}

impl TransportError {
    /// An error of this kind with its cause.
    ///
    /// ```
    /// use std::error::Error;
    /// use runner_api::transport::{TransportError, TransportErrorKind};
    ///
    /// let error = TransportError::new(TransportErrorKind::Other, "connection reset");
    /// assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("connection reset"));
    /// ```
    pub fn new(kind: TransportErrorKind, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind, source: source.into() }
    }

    /// What went wrong.
    ///
    /// ```
    /// use runner_api::transport::{TransportError, TransportErrorKind};
    ///
    /// let error = TransportError::new(TransportErrorKind::Timeout, "nothing after 30 s");
    /// assert_eq!(error.kind(), TransportErrorKind::Timeout);
    /// ```
    #[must_use]
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// The cause alone.
    pub(crate) fn into_source(self) -> Box<dyn StdError + Send + Sync> {
        self.source
    }
}

/// What went wrong before an answer was there.
///
/// ```
/// use runner_api::transport::TransportErrorKind;
/// assert_eq!(TransportErrorKind::Timeout.to_string(), "the server did not answer in time");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The name was not found, nobody listens, or the TLS handshake failed: the server has not seen the request.
    Connect,
    /// The server's certificate was refused here, or this client's there: the request was not looked at.
    Certificate(CertificateProblem),
    /// A time limit passed.
    Timeout,
    /// The request's own body could not be produced.
    RequestBody,
    /// The answer's body broke off.
    ResponseBody,
    /// The transport was told to stop.
    Cancelled,
    /// The connection broke, or the answer was not HTTP.
    Other,
}

impl fmt::Display for TransportErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate(problem) => return problem.fmt(f),
            Self::Connect => "cannot connect to the server",
            Self::Timeout => "the server did not answer in time",
            Self::RequestBody => "the request body could not be read",
            Self::ResponseBody => "the answer broke off",
            Self::Cancelled => "the transport was stopped",
            Self::Other => "the connection failed",
        })
    }
}
