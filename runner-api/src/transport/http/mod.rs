//! The default transport: HTTP/1.1 over TCP and TLS.

mod builder;
mod connections;
mod failure;
mod live;
mod proxy;
mod stamp;

pub use builder::HttpTransportBuilder;
pub use proxy::ProxySettings;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use http_body_util::BodyDataStream;

use self::connections::Connections;
use self::live::Live;
use super::progress::{Progress, TrackedBody};
use super::tls::{Peer, Tls};
use super::{Body, BodyError, Transport, TransportError, TransportErrorKind};

/// The default [`Transport`]: HTTP/1.1 with pooled connections, TLS with an explicit crypto provider.
///
/// It reads no environment variable of its own: certificates and proxies are passed in. (Where the operating system
/// keeps its trusted certificates may be overridden by `SSL_CERT_FILE` and `SSL_CERT_DIR`.) Cloning is cheap and shares
/// the connections.
///
/// Its answers carry [`TlsData`](super::TlsData) in their extensions, when there is something to tell.
///
/// ```
/// use std::time::Duration;
/// use runner_api::transport::HttpTransport;
///
/// let transport = HttpTransport::builder().connect_timeout(Duration::from_secs(5)).build()?;
/// let client = runner_api::ClientBuilder::new("https://gitlab.example.com")?.transport(transport).build()?;
/// # Ok::<(), runner_api::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct HttpTransport {
    source: Source,
    answer_timeout: Duration,
}

#[derive(Debug, Clone)]
enum Source {
    Ours(Arc<Live>),
    Given(reqwest::Client),
}

impl HttpTransport {
    /// Begins with the defaults of the official runner.
    ///
    /// ```
    /// use runner_api::transport::HttpTransport;
    ///
    /// let transport = HttpTransport::builder().build()?;
    /// # Ok::<(), runner_api::Error>(())
    /// ```
    #[must_use]
    pub fn builder() -> HttpTransportBuilder {
        HttpTransportBuilder::default()
    }

    /// Uses a client that the host program has built itself. It must not follow redirects and must not retry: this
    /// crate does both. Nothing is known of its TLS: its answers carry no
    /// [`TlsData`](super::TlsData). To change single settings,
    /// [`HttpTransportBuilder::customize`] is the better way.
    ///
    /// ```
    /// use runner_api::transport::HttpTransport;
    ///
    /// fn transport(client: reqwest::Client) -> HttpTransport {
    ///     HttpTransport::from_reqwest(client)
    /// }
    /// ```
    #[must_use]
    pub fn from_reqwest(client: reqwest::Client) -> Self {
        Self { source: Source::Given(client), answer_timeout: Connections::default().answer_timeout }
    }

    fn live(live: Live, answer_timeout: Duration) -> Self {
        Self { source: Source::Ours(Arc::new(live)), answer_timeout }
    }

    /// The client for the next request, and its TLS side if that is ours.
    async fn client(&self) -> (reqwest::Client, Option<Arc<Tls>>) {
        match &self.source {
            Source::Given(client) => (client.clone(), None),
            Source::Ours(live) => {
                let current = live.current().await;
                (current.client, Some(current.tls))
            }
        }
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, request: http::Request<Body>) -> Result<http::Response<Body>, TransportError> {
        let (client, tls) = self.client().await;
        let shown = tls.as_ref().is_some_and(|tls| tls.has_identity());
        let host = Some(request.uri()).filter(|uri| uri.scheme() == Some(&http::uri::Scheme::HTTPS));
        let host = host.and_then(|uri| uri.host()).map(str::to_owned);
        let progress = Progress::begin();
        let request = request.map(|body| match body.length() {
            // An empty body is no body: no `Content-Length` on GET and DELETE.
            Some(0) => reqwest::Body::default(),
            _ => reqwest::Body::wrap(TrackedBody::new(body, progress.clone())),
        });
        let request =
            reqwest::Request::try_from(request).map_err(|error| failure::of_request(error, shown))?;
        let response = tokio::select! {
            answered = client.execute(request) => answered.map_err(|error| failure::of_request(error, shown))?,
            () = progress.stalled(self.answer_timeout) => {
                let message = format!("no answer for {} s", self.answer_timeout.as_secs());
                return Err(TransportError::new(TransportErrorKind::Timeout, message));
            }
        };
        let length = response.content_length();
        let mut response: http::Response<reqwest::Body> = response.into();
        if let Some(tls) = tls {
            let info = response.extensions_mut().remove::<reqwest::tls::TlsInfo>();
            let leaf = info.as_ref().and_then(|info| info.peer_certificate());
            let peer = leaf.map(Peer::Certificate).or_else(|| host.as_deref().map(Peer::Host));
            let data = tls.data(peer.as_ref());
            if !data.is_empty() {
                response.extensions_mut().insert(data);
            }
        }
        Ok(response.map(|body| {
            let stream =
                BodyDataStream::new(body).map_err(|source| Box::new(failure::of_body(source)) as BodyError);
            Body::stream(stream, length)
        }))
    }
}
