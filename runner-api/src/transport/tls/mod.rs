//! TLS of the default transport: an explicit crypto provider, the trusted roots and the certificates of the
//! configuration. The process-wide default provider is neither read nor set.
//!
//! Whether a certificate is good is decided by rustls and webpki. What is ours is which roots they may use, and
//! remembering what a server has shown, because a job needs the chain.

mod chain;
mod roots;
mod verifier;

pub use roots::TrustedRoots;
pub(super) use verifier::Peer;

use std::sync::Arc;

use bytes::Bytes;
use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use self::roots::RootSet;
use self::verifier::Verifier;
use super::TlsData;
use crate::error::Error;
use crate::secret::SecretText;

/// Certificates to trust beside the system's.
#[derive(Clone)]
pub(super) struct Authorities {
    pem: Bytes,
    roots: Arc<RootSet>,
}

impl Authorities {
    /// Reads PEM text. Blocks that are no usable certificates are left out, as long as one is usable.
    pub(super) fn from_pem(pem: Bytes) -> Result<Self, Error> {
        let roots = Arc::new(RootSet::from_pem(&pem)?);
        Ok(Self { pem, roots })
    }

    pub(super) fn pem(&self) -> &Bytes {
        &self.pem
    }
}

/// A client certificate with its key.
#[derive(Clone)]
pub(super) struct Identity {
    certificate: Bytes,
    key: SecretText,
    certified: Arc<CertifiedKey>,
}

impl Identity {
    /// Reads PEM texts and checks that they belong together.
    pub(super) fn from_pem(certificate: Bytes, key: SecretText) -> Result<Self, Error> {
        let chain = CertificateDer::pem_slice_iter(&certificate)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| Error::configuration_from("the client certificate is not valid PEM", source))?;
        if chain.is_empty() {
            return Err(Error::configuration("the client certificate has no PEM block of type CERTIFICATE"));
        }
        let private = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
            .map_err(|source| Error::configuration_from("the client key is not valid PEM", source))?;
        let certified = CertifiedKey::from_der(chain, private, &provider()).map_err(|source| {
            Error::configuration_from("the client certificate cannot be used with its key", source)
        })?;
        Ok(Self { certificate, key, certified: Arc::new(certified) })
    }

    pub(super) fn same_as(&self, other: &Self) -> bool {
        self.certificate == other.certificate && self.key == other.key
    }
}

/// The TLS side of a transport: what it is configured with, and what it has seen.
pub(super) struct Tls {
    config: ClientConfig,
    verifier: Arc<Verifier>,
    authorities: Option<Authorities>,
    identity: Option<Identity>,
}

impl Tls {
    /// TLS 1.2 or newer, HTTP/1.1 only.
    pub(super) fn new(
        roots: TrustedRoots,
        authorities: Option<Authorities>,
        identity: Option<Identity>,
    ) -> Result<Self, Error> {
        let provider = Arc::new(provider());
        let extra = authorities.as_ref().map(|authorities| Arc::clone(&authorities.roots));
        let verifier = Arc::new(Verifier::new(roots, extra, provider.signature_verification_algorithms));
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|source| Error::configuration_from("the TLS versions cannot be used", source))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::<Verifier>::clone(&verifier));
        let config = match &identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder
                .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&identity.certified)))),
        };
        Ok(Self { config, verifier, authorities, identity })
    }

    pub(super) fn config(&self) -> ClientConfig {
        self.config.clone()
    }

    pub(super) fn has_identity(&self) -> bool {
        self.identity.is_some()
    }

    /// What a job needs, after an answer of `peer`; there is none where TLS was not used.
    pub(super) fn data(&self, peer: Option<&Peer<'_>>) -> TlsData {
        let chain = match &self.authorities {
            Some(authorities) => Some(authorities.pem.clone()),
            None => peer.and_then(|peer| self.verifier.chain(peer)),
        };
        let data = TlsData::new(chain.unwrap_or_default());
        match &self.identity {
            None => data,
            Some(identity) => data.with_client(identity.certificate.clone(), identity.key.clone()),
        }
    }
}

#[cfg(feature = "tls-ring")]
fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

#[cfg(all(feature = "tls-aws-lc-rs", not(feature = "tls-ring")))]
fn provider() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}
