//! TLS of the default transport: an explicit crypto provider, the system's roots and the certificates of the
//! configuration. The process-wide default provider is neither read nor set.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use crate::error::Error;
use crate::secret::SecretText;

/// A client certificate and its key, both as PEM text.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) certificate: Vec<u8>,
    pub(super) key: SecretText,
}

/// Builds the TLS configuration: TLS 1.2 or newer, HTTP/1.1 only.
pub(super) fn config(extra_roots: Option<&[u8]>, identity: Option<&Identity>) -> Result<ClientConfig, Error> {
    let provider = Arc::new(provider());
    let extra_roots = roots(extra_roots)?;
    let none_given = extra_roots.is_empty();
    let verifier = Verifier::new_with_extra_roots(extra_roots, Arc::clone(&provider));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|source| Error::configuration_from("the TLS versions cannot be used", source))?;
    let builder = match verifier {
        Ok(verifier) => builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)),
        // A place without any trusted certificate can still speak plain HTTP; TLS fails when it is tried.
        Err(error) if none_given => {
            tracing::warn!(%error, "no certificate is trusted: https will not work");
            builder.with_root_certificates(RootCertStore::empty())
        }
        Err(source) => {
            return Err(Error::configuration_from("the trusted certificates cannot be used", source));
        }
    };
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some(identity) => {
            let chain = CertificateDer::pem_slice_iter(&identity.certificate)
                .collect::<Result<Vec<_>, _>>()
                .map_err(|source| {
                    Error::configuration_from("the client certificate is not valid PEM", source)
                })?;
            let key = PrivateKeyDer::from_pem_slice(identity.key.expose().as_bytes())
                .map_err(|source| Error::configuration_from("the client key is not valid PEM", source))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|source| Error::configuration_from("the client certificate cannot be used", source))
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

fn roots(pem: Option<&[u8]>) -> Result<Vec<CertificateDer<'static>>, Error> {
    let Some(pem) = pem else { return Ok(Vec::new()) };
    let roots = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| Error::configuration_from("the CA certificates are not valid PEM", source))?;
    if roots.is_empty() {
        return Err(Error::configuration("the CA certificates hold no PEM block of type CERTIFICATE"));
    }
    Ok(roots)
}
