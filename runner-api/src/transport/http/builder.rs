//! Settings of the default transport.

use std::time::Duration;

use bytes::Bytes;

use super::connections::Connections;
use super::live::{Certificates, Live, Material};
use super::{HttpTransport, ProxySettings};
use crate::error::Error;
use crate::secret::SecretText;
use crate::transport::tls::{Authorities, Identity};
use crate::transport::{CertificateFiles, TrustedRoots};

/// Settings of a [`HttpTransport`].
///
/// ```
/// let builder = runner_api::transport::HttpTransport::builder().ca_certificates_pem("no PEM");
/// assert!(builder.build().unwrap_err().is_configuration());
/// ```
#[derive(Debug, Clone)]
pub struct HttpTransportBuilder {
    roots: TrustedRoots,
    authorities: Option<Bytes>,
    identity: Option<(Bytes, SecretText)>,
    files: CertificateFiles,
    connections: Connections,
    max_age: Duration,
}

impl Default for HttpTransportBuilder {
    fn default() -> Self {
        Self {
            roots: TrustedRoots::system(),
            authorities: None,
            identity: None,
            files: CertificateFiles::default(),
            connections: Connections::default(),
            max_age: Duration::from_secs(15 * 60),
        }
    }
}

impl HttpTransportBuilder {
    /// The roots that are trusted in any case. Default: the system's; clones of one builder share them.
    ///
    /// ```
    /// use runner_api::transport::{HttpTransport, TrustedRoots};
    ///
    /// let builder = HttpTransport::builder().trusted_roots(TrustedRoots::system());
    /// ```
    #[must_use]
    pub fn trusted_roots(mut self, roots: TrustedRoots) -> Self {
        self.roots = roots;
        self
    }

    /// Certificates to trust in addition to the [roots](Self::trusted_roots), as PEM text. Jobs get this very text.
    /// Parts of it that are no usable certificates are left out.
    ///
    /// ```
    /// use runner_api::transport::HttpTransport;
    ///
    /// let transport = HttpTransport::builder().ca_certificates_pem("no certificate in here").build();
    /// assert!(transport.unwrap_err().is_configuration());
    /// ```
    #[must_use]
    pub fn ca_certificates_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities = Some(pem.into().into());
        self
    }

    /// The certificate chain and the key that this client shows to the server, as PEM text.
    ///
    /// ```
    /// use runner_api::transport::HttpTransport;
    ///
    /// let transport = HttpTransport::builder().client_certificate_pem("no certificate", "no key".into()).build();
    /// assert!(transport.unwrap_err().is_configuration());
    /// ```
    #[must_use]
    pub fn client_certificate_pem(mut self, certificate: impl Into<Vec<u8>>, key: SecretText) -> Self {
        self.identity = Some((certificate.into().into(), key));
        self
    }

    /// Files with certificates to trust and to show; what is in them counts before PEM text that was passed in.
    ///
    /// They are looked at before every request, and read again when one has changed: connections that are made from
    /// then on use what is in them. A file that is missing is ignored; one that cannot be used is ignored with a
    /// warning. When that happens to a file that was in use (it is being replaced, say), its last content stays in use
    /// until the next change. [`CertificateFiles::check`] is the strict way to look at them.
    ///
    /// ```
    /// use runner_api::transport::{CertificateFiles, HttpTransport};
    ///
    /// let files = CertificateFiles::default().with_ca("/etc/gitlab-runner/ca.crt");
    /// let transport = HttpTransport::builder().certificate_files(files).build()?;
    /// # Ok::<(), runner_api::Error>(())
    /// ```
    #[must_use]
    pub fn certificate_files(mut self, files: CertificateFiles) -> Self {
        self.files = files;
        self
    }

    /// The proxies to use. Without it there is none, whatever the environment says.
    ///
    /// ```
    /// use runner_api::transport::{HttpTransport, ProxySettings};
    ///
    /// let mut proxy = ProxySettings::default();
    /// proxy.http = Some("http://proxy.example.com:3128".into());
    /// let transport = HttpTransport::builder().proxy(proxy).build()?;
    /// # Ok::<(), runner_api::Error>(())
    /// ```
    #[must_use]
    pub fn proxy(mut self, proxy: ProxySettings) -> Self {
        self.connections.proxy = Some(proxy);
        self
    }

    /// The longest time to reach the server, TLS handshake included. Default: 30 s.
    ///
    /// ```
    /// use runner_api::transport::HttpTransport;
    ///
    /// let builder = HttpTransport::builder().connect_timeout(std::time::Duration::from_secs(5));
    /// ```
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connections.connect_timeout = limit;
        self
    }

    /// The longest silence: counted since the request body last moved until the head of the answer is there, and
    /// between two pieces of the answer. It must be longer than the server's long poll. Default: 10 min.
    ///
    /// ```
    /// use runner_api::transport::HttpTransport;
    ///
    /// let builder = HttpTransport::builder().answer_timeout(std::time::Duration::from_secs(120));
    /// ```
    #[must_use]
    pub fn answer_timeout(mut self, limit: Duration) -> Self {
        self.connections.answer_timeout = limit;
        self
    }

    /// The longest time of one request from the first byte to the last. Default: 60 min.
    ///
    /// ```
    /// use runner_api::transport::HttpTransport;
    ///
    /// let builder = HttpTransport::builder().total_timeout(std::time::Duration::from_secs(2 * 60 * 60));
    /// ```
    #[must_use]
    pub fn total_timeout(mut self, limit: Duration) -> Self {
        self.connections.total_timeout = limit;
        self
    }

    /// After how long the next request gets a new connection, so that a changed address or a balancer's new member is
    /// noticed (`connection_max_age`). Zero: never. Default: 15 min.
    ///
    /// All connections of the transport are given up together; those that are in use end with their request.
    ///
    /// ```
    /// use runner_api::transport::HttpTransport;
    ///
    /// let for_ever = HttpTransport::builder().connection_max_age(std::time::Duration::ZERO);
    /// ```
    #[must_use]
    pub fn connection_max_age(mut self, limit: Duration) -> Self {
        self.max_age = limit;
        self
    }

    /// Whether answers may be compressed on the way. Default: yes.
    ///
    /// ```
    /// use runner_api::transport::HttpTransport;
    ///
    /// let builder = HttpTransport::builder().gzip(false);
    /// ```
    #[cfg(feature = "gzip")]
    #[must_use]
    pub fn gzip(mut self, allowed: bool) -> Self {
        self.connections.gzip = allowed;
        self
    }

    /// Changes settings of the HTTP library that have no method here: name resolution, a local address, default
    /// headers. It is called each time connections are begun anew. TLS, redirects and retries stay this crate's, and
    /// whatever is said about them is overridden.
    ///
    /// ```
    /// use runner_api::transport::HttpTransport;
    ///
    /// let address = "127.0.0.1:8443".parse()?;
    /// let transport = HttpTransport::builder()
    ///     .customize(move |builder| builder.resolve("gitlab.example.com", address))
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn customize(
        mut self,
        change: impl Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync + 'static,
    ) -> Self {
        self.connections.customize(change);
        self
    }

    /// Builds the transport. It reads the [files](Self::certificate_files) for the first time.
    ///
    /// ```
    /// use runner_api::transport::HttpTransport;
    ///
    /// let transport = HttpTransport::builder().build()?;
    /// # Ok::<(), runner_api::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::is_configuration`] when certificates or a key that were passed in as text, or a proxy address, cannot
    /// be used.
    pub fn build(self) -> Result<HttpTransport, Error> {
        let given = Material {
            authorities: self.authorities.map(Authorities::from_pem).transpose()?,
            identity: self
                .identity
                .map(|(certificate, key)| Identity::from_pem(certificate, key))
                .transpose()?,
        };
        let answer_timeout = self.connections.answer_timeout;
        let certificates = Certificates { roots: self.roots, files: self.files };
        let live = Live::begin(self.connections, self.max_age, certificates, &given)?;
        Ok(HttpTransport::live(live, answer_timeout))
    }
}
