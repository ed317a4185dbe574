//! Verifies servers with webpki and remembers what they showed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};

use super::chain;
use super::roots::{RootSet, TrustedRoots};

/// How many servers' certificates are remembered: the instance, its object storages, and their rotations.
const REMEMBERED: usize = 64;

/// Verifies a server against the configured authorities first, then against the trusted roots. Two stores instead of
/// one merged store, so that the large one can be shared by all clients.
#[derive(Debug)]
pub(super) struct Verifier {
    roots: TrustedRoots,
    extra: Option<Arc<RootSet>>,
    algorithms: WebPkiSupportedAlgorithms,
    shown: Mutex<VecDeque<Arc<Shown>>>,
}

/// What a server showed in a handshake that was accepted.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) leaf: CertificateDer<'static>,
    pub(super) intermediates: Vec<CertificateDer<'static>>,
    pub(super) at: UnixTime,
    chain: OnceLock<Bytes>,
}

impl Verifier {
    pub(super) fn new(
        roots: TrustedRoots,
        extra: Option<Arc<RootSet>>,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Self {
        Self { roots, extra, algorithms, shown: Mutex::default() }
    }

    /// The chain of the last accepted handshake with this certificate, as PEM text. Also resumed sessions find theirs:
    /// they keep the certificate of the handshake that began them.
    pub(super) fn chain(&self, leaf: &[u8]) -> Option<Bytes> {
        let shown = self.find(leaf)?;
        let chain = shown.chain.get_or_init(|| {
            Bytes::from(chain::pem(&chain::verified(&shown, self.roots.get(), self.algorithms)))
        });
        Some(chain.clone())
    }

    fn find(&self, leaf: &[u8]) -> Option<Arc<Shown>> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.iter().find(|shown| shown.leaf.as_ref() == leaf).cloned()
    }

    fn remember(&self, leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>], at: UnixTime) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |shown: &Shown| {
            shown.leaf == *leaf
                && shown
                    .intermediates
                    .iter()
                    .map(AsRef::as_ref)
                    .eq(intermediates.iter().map(AsRef::<[u8]>::as_ref))
        };
        if shown.iter().any(|shown| same(shown)) {
            return;
        }
        shown.retain(|shown| shown.leaf != *leaf);
        if shown.len() >= REMEMBERED {
            shown.pop_front();
        }
        shown.push_back(Arc::new(Shown {
            leaf: leaf.clone().into_owned(),
            intermediates: intermediates.iter().map(|certificate| certificate.clone().into_owned()).collect(),
            at,
            chain: OnceLock::new(),
        }));
    }

    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let parsed = ParsedCertificate::try_from(leaf)?;
        let signed_by = |roots: &RootSet| {
            let algorithms = self.algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&parsed, roots.store(), intermediates, now, algorithms)
        };
        let Some(extra) = self.extra.as_deref() else { return signed_by(self.roots.get()) };
        let refused = match signed_by(extra) {
            Err(error) if is_trusted_itself(leaf, extra, &error) => return Ok(()),
            Err(error) => error,
            Ok(()) => return Ok(()),
        };
        match signed_by(self.roots.get()) {
            Ok(()) => Ok(()),
            // The configured authorities know more about this server than the roots do.
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => Err(refused),
            Err(error) => Err(error),
        }
    }
}

/// Whether the only objection is that the certificate may sign others, too, and it is itself among the configured ones.
///
/// `openssl req -x509` makes such certificates, and GitLab's documentation has users put them into the CA file; webpki
/// does not accept an authority as a server. It has checked the validity by then; the name is checked after this.
fn is_trusted_itself(leaf: &CertificateDer<'_>, extra: &RootSet, error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(OtherError(cause))) = error else { return false };
    matches!(cause.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
        && extra.certificates().iter().any(|certificate| certificate == leaf)
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(end_entity, intermediates, now)?;
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        self.remember(end_entity, intermediates, now);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
