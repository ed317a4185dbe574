//! What a job needs to reach the same server as the runner.

use std::fmt;

use bytes::Bytes;

use crate::secret::SecretText;

/// What a job needs to reach the same server over TLS as the runner: its scripts and the helper get it as the files
/// `CI_SERVER_TLS_CA_FILE`, `CI_SERVER_TLS_CERT_FILE` and `CI_SERVER_TLS_KEY_FILE`. Cloning is cheap.
///
/// A [`Transport`](super::Transport) tells it by putting a value into the
/// [extensions](http::Response::extensions) of an answer; a client keeps the last one
/// ([`Client::tls`](crate::Client::tls)).
///
/// Source: GitLab documentation, "Predefined CI/CD variables", and "Self-signed certificates or custom Certification
/// Authorities" of the runner.
///
/// ```
/// use runner_api::transport::TlsData;
///
/// let tls = TlsData::new("-----BEGIN CERTIFICATE-----\n…").with_client("certificate", "key".into());
/// assert!(tls.ca_chain().starts_with(b"-----BEGIN"));
/// assert_eq!(tls.client_key().map(|key| key.expose()), Some("key"));
/// assert!(!format!("{tls:?}").contains("\"key\""));
///
/// let plain_http = TlsData::default();
/// assert!(plain_http.is_empty());
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TlsData {
    ca_chain: Bytes,
    client: Option<(Bytes, SecretText)>,
}

impl TlsData {
    /// Certificates to trust, as PEM text; empty when there are none to add.
    ///
    /// ```
    /// use runner_api::transport::TlsData;
    ///
    /// assert_eq!(TlsData::new("-----BEGIN CERTIFICATE-----\n…").client_certificate(), None);
    /// ```
    pub fn new(ca_chain: impl Into<Bytes>) -> Self {
        Self { ca_chain: ca_chain.into(), client: None }
    }

    /// The same with a client certificate and its key, both as PEM text.
    ///
    /// ```
    /// use runner_api::transport::TlsData;
    ///
    /// let tls = TlsData::default().with_client("certificate", "key".into());
    /// assert!(!tls.is_empty());
    /// ```
    #[must_use]
    pub fn with_client(mut self, certificate: impl Into<Bytes>, key: SecretText) -> Self {
        self.client = Some((certificate.into(), key));
        self
    }

    /// Certificates with which the server can be verified, as PEM text: the exact content of the CA file when there is
    /// one, else the verified chain of the connection, the server's own certificate first and the trusted root last.
    /// Empty for plain HTTP.
    ///
    /// ```
    /// use runner_api::transport::TlsData;
    ///
    /// assert_eq!(TlsData::new("chain").ca_chain(), b"chain");
    /// ```
    #[must_use]
    pub fn ca_chain(&self) -> &[u8] {
        &self.ca_chain
    }

    /// The client certificate as PEM text, exactly as it was read.
    ///
    /// ```
    /// use runner_api::transport::TlsData;
    ///
    /// let tls = TlsData::default().with_client("certificate", "key".into());
    /// assert_eq!(tls.client_certificate(), Some(b"certificate".as_slice()));
    /// ```
    #[must_use]
    pub fn client_certificate(&self) -> Option<&[u8]> {
        self.client.as_ref().map(|(certificate, _)| certificate.as_ref())
    }

    /// The key of the client certificate as PEM text.
    ///
    /// ```
    /// use runner_api::transport::TlsData;
    ///
    /// let tls = TlsData::default().with_client("certificate", "key".into());
    /// assert_eq!(tls.client_key(), Some(&"key".into()));
    /// ```
    #[must_use]
    pub fn client_key(&self) -> Option<&SecretText> {
        self.client.as_ref().map(|(_, key)| key)
    }

    /// Whether there is nothing to tell a job.
    ///
    /// ```
    /// use runner_api::transport::TlsData;
    ///
    /// assert!(TlsData::default().is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ca_chain.is_empty() && self.client.is_none()
    }
}

impl fmt::Debug for TlsData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsData")
            .field("ca_chain_bytes", &self.ca_chain.len())
            .field("client", &self.client.as_ref().map(|(_, key)| key))
            .finish()
    }
}
