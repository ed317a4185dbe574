//! Trusted roots, loaded once and shared.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::error::Error;

/// The root certificates that are trusted without further configuration: those of the operating system, or a list of
/// one's own. Cloning is cheap, and all clones share what was loaded: a program with many clients needs it once.
///
/// The system's are read when the first TLS connection is made, and never again: a change needs a new value (or a new
/// process). A system without any is no error until a certificate has to be verified.
///
/// ```
/// use runner_api::transport::{HttpTransport, TrustedRoots};
///
/// let roots = TrustedRoots::system();
/// let one = HttpTransport::builder().trusted_roots(roots.clone()).build()?;
/// let another = HttpTransport::builder().trusted_roots(roots).build()?;
/// # Ok::<(), runner_api::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct TrustedRoots(Arc<OnceLock<RootSet>>);

impl TrustedRoots {
    /// The operating system's. Where it keeps them may be overridden by `SSL_CERT_FILE` and `SSL_CERT_DIR`.
    ///
    /// ```
    /// let shared = runner_api::transport::TrustedRoots::system();
    /// ```
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// These alone, as PEM text: for images that have no certificates of their own.
    ///
    /// ```
    /// use runner_api::transport::TrustedRoots;
    /// assert!(TrustedRoots::from_pem("no PEM").unwrap_err().is_configuration());
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::is_configuration`] when there is no usable certificate in `pem`.
    pub fn from_pem(pem: impl AsRef<[u8]>) -> Result<Self, Error> {
        Ok(Self(Arc::new(OnceLock::from(RootSet::from_pem(pem.as_ref())?))))
    }

    pub(super) fn get(&self) -> &RootSet {
        self.0.get_or_init(|| {
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                tracing::warn!(%error, "a trusted certificate of this system cannot be read");
            }
            let roots = RootSet::new(found.certs);
            if roots.is_empty() {
                tracing::warn!("this system trusts no certificate: https needs a CA file");
            }
            roots
        })
    }
}

impl fmt::Debug for TrustedRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TrustedRoots").field(&self.0.get()).finish()
    }
}

/// Roots in two forms: as webpki uses them, and as they were, because a chain for others ends with the certificate
/// itself.
pub(super) struct RootSet {
    store: RootCertStore,
    /// In the order of the store's anchors.
    certificates: Vec<CertificateDer<'static>>,
}

impl RootSet {
    /// Leaves out what is no usable certificate, as long as there is one that is.
    pub(super) fn from_pem(pem: &[u8]) -> Result<Self, Error> {
        let mut found = Vec::new();
        let mut broken = None;
        for item in CertificateDer::pem_slice_iter(pem) {
            match item {
                Ok(certificate) => found.push(certificate),
                Err(error) => broken = Some(error),
            }
        }
        let roots = Self::new(found);
        match (roots.is_empty(), broken) {
            (true, Some(source)) => {
                Err(Error::configuration_from("the CA certificates are not valid PEM", source))
            }
            (true, None) => {
                Err(Error::configuration("the CA certificates hold no usable PEM block of type CERTIFICATE"))
            }
            (false, Some(error)) => {
                tracing::warn!(%error, "a part of the CA certificates is not valid PEM and is left out");
                Ok(roots)
            }
            (false, None) => Ok(roots),
        }
    }

    fn new(certificates: Vec<CertificateDer<'static>>) -> Self {
        let mut roots = Self { store: RootCertStore::empty(), certificates: Vec::new() };
        for certificate in certificates {
            match roots.store.add(certificate.clone()) {
                Ok(()) => roots.certificates.push(certificate),
                Err(error) => tracing::debug!(%error, "a CA certificate cannot be used and is left out"),
            }
        }
        roots
    }

    pub(super) fn is_empty(&self) -> bool {
        self.certificates.is_empty()
    }

    pub(super) fn store(&self) -> &RootCertStore {
        &self.store
    }

    pub(super) fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }
}

impl fmt::Debug for RootSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RootSet").field(&self.certificates.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_what_was_loaded() {
        let roots = TrustedRoots::system();
        let clone = roots.clone();
        assert!(std::ptr::eq(roots.get(), clone.get()));
    }
}
