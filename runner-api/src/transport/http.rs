//! The default transport: HTTP/1.1 over TCP and TLS.

use std::error::Error as StdError;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use http_body_util::BodyDataStream;

use super::progress::{Progress, RequestBodyError, TrackedBody};
use super::tls::{self, Identity};
use super::{Body, BodyError, Transport, TransportError, TransportErrorKind};
use crate::error::Error;
use crate::secret::SecretText;

/// The default [`Transport`]: HTTP/1.1 with pooled connections, TLS with an explicit crypto provider.
///
/// It reads no environment variable of its own: certificates and proxies are passed in. (Where the operating system
/// keeps its trusted certificates may be overridden by `SSL_CERT_FILE` and `SSL_CERT_DIR`.) Cloning is cheap and shares
/// the connections.
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
    client: reqwest::Client,
    answer_timeout: Duration,
}

impl HttpTransport {
    /// Begins with the defaults of the official runner.
    #[must_use]
    pub fn builder() -> HttpTransportBuilder {
        HttpTransportBuilder::default()
    }

    /// Uses a client that the host program has built itself. It must not follow redirects and must not retry: this
    /// crate does both.
    #[must_use]
    pub fn from_reqwest(client: reqwest::Client) -> Self {
        Self { client, answer_timeout: HttpTransportBuilder::default().answer_timeout }
    }
}

/// Settings of a [`HttpTransport`].
///
/// ```
/// let builder = runner_api::transport::HttpTransport::builder().ca_certificates_pem("no PEM");
/// assert!(builder.build().unwrap_err().is_configuration());
/// ```
#[derive(Debug, Clone)]
pub struct HttpTransportBuilder {
    extra_roots: Option<Vec<u8>>,
    identity: Option<Identity>,
    proxy: Option<ProxySettings>,
    connect_timeout: Duration,
    answer_timeout: Duration,
    total_timeout: Duration,
    #[cfg(feature = "gzip")]
    gzip: bool,
}

impl Default for HttpTransportBuilder {
    fn default() -> Self {
        Self {
            extra_roots: None,
            identity: None,
            proxy: None,
            connect_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(10 * 60),
            total_timeout: Duration::from_secs(60 * 60),
            #[cfg(feature = "gzip")]
            gzip: true,
        }
    }
}

impl HttpTransportBuilder {
    /// Certificates to trust in addition to the system's, as PEM text.
    #[must_use]
    pub fn ca_certificates_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.extra_roots = Some(pem.into());
        self
    }

    /// The certificate chain and the key that this client shows to the server, as PEM text.
    #[must_use]
    pub fn client_certificate_pem(mut self, certificate: impl Into<Vec<u8>>, key: SecretText) -> Self {
        self.identity = Some(Identity { certificate: certificate.into(), key });
        self
    }

    /// The proxies to use. Without it there is none, whatever the environment says.
    #[must_use]
    pub fn proxy(mut self, proxy: ProxySettings) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// The longest time to reach the server, TLS handshake included. Default: 30 s.
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// The longest silence: counted since the request body last moved until the head of the answer is there, and
    /// between two pieces of the answer. It must be longer than the server's long poll. Default: 10 min.
    #[must_use]
    pub fn answer_timeout(mut self, limit: Duration) -> Self {
        self.answer_timeout = limit;
        self
    }

    /// The longest time of one request from the first byte to the last. Default: 60 min.
    #[must_use]
    pub fn total_timeout(mut self, limit: Duration) -> Self {
        self.total_timeout = limit;
        self
    }

    /// Whether answers may be compressed on the way. Default: yes.
    #[cfg(feature = "gzip")]
    #[must_use]
    pub fn gzip(mut self, allowed: bool) -> Self {
        self.gzip = allowed;
        self
    }

    /// Builds the transport.
    ///
    /// # Errors
    ///
    /// [`Error::is_configuration`] when a certificate, a key or a proxy address cannot be used.
    pub fn build(self) -> Result<HttpTransport, Error> {
        let tls = tls::config(self.extra_roots.as_deref(), self.identity.as_ref())?;
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(self.connect_timeout)
            .read_timeout(self.answer_timeout)
            .timeout(self.total_timeout)
            .tcp_keepalive(Duration::from_secs(30))
            .pool_idle_timeout(Duration::from_secs(90))
            .no_proxy();
        #[cfg(feature = "gzip")]
        {
            builder = builder.gzip(self.gzip);
        }
        if let Some(proxy) = self.proxy {
            for proxy in proxy.into_proxies()? {
                builder = builder.proxy(proxy);
            }
        }
        let client = builder.build().map_err(|source| {
            Error::configuration_from("the HTTP client cannot be built", source.without_url())
        })?;
        Ok(HttpTransport { client, answer_timeout: self.answer_timeout })
    }
}

/// Proxies for plain and for encrypted requests. Requests to this machine (`localhost`, loopback addresses) never use
/// one.
///
/// ```
/// use runner_api::transport::{HttpTransport, ProxySettings};
///
/// let mut proxy = ProxySettings::default();
/// proxy.https = Some("http://proxy.example.com:3128".into());
/// proxy.no_proxy = "internal.example.com,10.0.0.0/8".to_owned();
/// HttpTransport::builder().proxy(proxy).build()?;
/// # Ok::<(), runner_api::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ProxySettings {
    /// Address of the proxy for `http` URLs; may contain a password.
    pub http: Option<SecretText>,
    /// Address of the proxy for `https` URLs; may contain a password.
    pub https: Option<SecretText>,
    /// Comma-separated hosts, domains, addresses and networks that are reached directly (the `NO_PROXY` form).
    pub no_proxy: String,
}

impl ProxySettings {
    fn into_proxies(self) -> Result<Vec<reqwest::Proxy>, Error> {
        let mut direct = "localhost,127.0.0.0/8,::1".to_owned();
        if !self.no_proxy.is_empty() {
            direct.push(',');
            direct.push_str(&self.no_proxy);
        }
        let unusable = |source: reqwest::Error| {
            Error::configuration_from("the proxy address cannot be used", source.without_url())
        };
        let http = self.http.map(|url| reqwest::Proxy::http(url.expose()).map_err(unusable));
        let https = self.https.map(|url| reqwest::Proxy::https(url.expose()).map_err(unusable));
        http.into_iter()
            .chain(https)
            .map(|proxy| Ok(proxy?.no_proxy(reqwest::NoProxy::from_string(&direct))))
            .collect()
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, request: http::Request<Body>) -> Result<http::Response<Body>, TransportError> {
        let progress = Progress::begin();
        let request = request.map(|body| match body.length() {
            // An empty body is no body: no `Content-Length` on GET and DELETE.
            Some(0) => reqwest::Body::default(),
            _ => reqwest::Body::wrap(TrackedBody::new(body, progress.clone())),
        });
        let request = reqwest::Request::try_from(request).map_err(error)?;
        let response = tokio::select! {
            answered = self.client.execute(request) => answered.map_err(error)?,
            () = progress.stalled(self.answer_timeout) => {
                let message = format!("no answer for {} s", self.answer_timeout.as_secs());
                return Err(TransportError::new(TransportErrorKind::Timeout, message));
            }
        };
        let length = response.content_length();
        let response: http::Response<reqwest::Body> = response.into();
        Ok(response.map(|body| {
            let stream =
                BodyDataStream::new(body).map_err(|source| Box::new(body_error(source)) as BodyError);
            Body::stream(stream, length)
        }))
    }
}

/// Translates an error of the HTTP library. Its URL is dropped: a query may hold a signature.
fn error(source: reqwest::Error) -> TransportError {
    let kind = if has_cause::<RequestBodyError>(&source) {
        TransportErrorKind::RequestBody
    } else if source.is_connect() {
        // Before the kind below: a time limit while connecting means that the request was never sent.
        TransportErrorKind::Connect
    } else if source.is_timeout() {
        TransportErrorKind::Timeout
    } else {
        TransportErrorKind::Other
    };
    TransportError::new(kind, source.without_url())
}

fn body_error(source: reqwest::Error) -> TransportError {
    let kind =
        if source.is_timeout() { TransportErrorKind::Timeout } else { TransportErrorKind::ResponseBody };
    TransportError::new(kind, source.without_url())
}

fn has_cause<T: StdError + 'static>(error: &dyn StdError) -> bool {
    let mut cause = error.source();
    while let Some(current) = cause {
        if current.is::<T>() {
            return true;
        }
        cause = current.source();
    }
    false
}
