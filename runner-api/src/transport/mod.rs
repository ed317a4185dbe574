//! How requests reach the server: one small trait, a body that can be streamed and repeated, and the default
//! implementation over HTTP/1.1.
//!
//! Everything in this crate sends through [`Transport`]. Programs use [`HttpTransport`] (chosen by
//! [`ClientBuilder`](crate::ClientBuilder) when nothing else is given); tests and simulations pass their own.

mod body;
#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc-rs"))]
mod certificate_files;
mod certificate_problem;
mod error;
#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc-rs"))]
mod http;
#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc-rs"))]
mod progress;
#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc-rs"))]
mod tls;
mod tls_data;

pub use body::{Body, BodyError, BodySource, BodyStream};
pub use certificate_problem::CertificateProblem;
pub use error::{TransportError, TransportErrorKind};
pub use tls_data::TlsData;

#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc-rs"))]
pub use self::certificate_files::CertificateFiles;
#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc-rs"))]
pub use self::http::{HttpTransport, HttpTransportBuilder, ProxySettings};
#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc-rs"))]
pub use self::tls::TrustedRoots;

use async_trait::async_trait;

/// Sends one HTTP request and returns the head of its answer, with the body still to be read.
///
/// An implementation neither retries nor follows redirects nor treats a status as an error: those are the client's.
/// Dropping the future abandons the request.
///
/// An implementation that knows about the TLS of the connection tells it by putting [`TlsData`] into the answer's
/// extensions, for the jobs.
///
/// ```
/// use runner_api::transport::{Body, Transport, TransportError};
///
/// /// Answers every request with "no job".
/// #[derive(Debug)]
/// struct Idle;
///
/// #[async_trait::async_trait]
/// impl Transport for Idle {
///     async fn send(&self, _request: http::Request<Body>) -> Result<http::Response<Body>, TransportError> {
///         let mut answer = http::Response::new(Body::empty());
///         *answer.status_mut() = http::StatusCode::NO_CONTENT;
///         Ok(answer)
///     }
/// }
///
/// let client = runner_api::ClientBuilder::new("https://gitlab.example.com")?.transport(Idle).build()?;
/// # Ok::<(), runner_api::Error>(())
/// ```
#[async_trait]
pub trait Transport: Send + Sync + std::fmt::Debug {
    /// Sends `request`, whose URI is absolute.
    ///
    /// ```no_run
    /// use runner_api::transport::{Body, Transport, TransportError};
    ///
    /// # async fn example(transport: &dyn Transport) -> Result<(), TransportError> {
    /// let request = http::Request::get("https://gitlab.example.com/api/v4/version");
    /// let answer = transport.send(request.body(Body::empty()).unwrap()).await?;
    /// println!("{}", answer.status());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When no complete answer head was received: the [kind](TransportErrorKind) tells why.
    async fn send(&self, request: ::http::Request<Body>) -> Result<::http::Response<Body>, TransportError>;
}
