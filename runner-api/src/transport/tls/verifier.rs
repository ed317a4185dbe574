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

/// The server of an answer, as well as it is known.
pub(in crate::transport) enum Peer<'a> {
    /// What it showed on the very connection.
    Certificate(&'a [u8]),
    /// Its name or address: the HTTP library does not tell the certificate of a connection through a proxy.
    Host(&'a str),
}

/// What a server showed in a handshake that was accepted.
#[derive(Debug)]
pub(super) struct Shown {
    name: ServerName<'static>,
    pub(super) leaf: CertificateDer<'static>,
    pub(super) intermediates: Vec<CertificateDer<'static>>,
    pub(super) at: UnixTime,
    chain: OnceLock<Bytes>,
}

impl Shown {
    fn is_like(&self, other: &Self) -> bool {
        (&self.name, &self.leaf, &self.intermediates) == (&other.name, &other.leaf, &other.intermediates)
    }
}

impl Verifier {
    pub(super) fn new(
        roots: TrustedRoots,
        extra: Option<Arc<RootSet>>,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Self {
        Self { roots, extra, algorithms, shown: Mutex::default() }
    }

    /// The chain of the last accepted handshake with this server, as PEM text. Also resumed sessions find theirs: they
    /// keep the certificate of the handshake that began them.
    pub(super) fn chain(&self, peer: &Peer<'_>) -> Option<Bytes> {
        let shown = self.find(peer)?;
        let verified = || chain::pem(&chain::verified(&shown, self.roots.get(), self.algorithms));
        Some(shown.chain.get_or_init(|| Bytes::from(verified())).clone())
    }

    fn find(&self, peer: &Peer<'_>) -> Option<Arc<Shown>> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let mut latest_first = shown.iter().rev();
        match peer {
            Peer::Certificate(leaf) => latest_first.find(|shown| shown.leaf.as_ref() == *leaf).cloned(),
            Peer::Host(host) => {
                let name = ServerName::try_from(host.trim_matches(['[', ']'])).ok()?;
                latest_first.find(|shown| shown.name == name).cloned()
            }
        }
    }

    fn remember(&self, new: Shown) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let known = shown.iter().position(|known| known.is_like(&new)).and_then(|place| shown.remove(place));
        if shown.len() >= REMEMBERED {
            shown.pop_front();
        }
        shown.push_back(known.unwrap_or_else(|| Arc::new(new)));
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
        self.remember(Shown {
            name: server_name.to_owned(),
            leaf: end_entity.clone().into_owned(),
            intermediates: intermediates.iter().map(|certificate| certificate.clone().into_owned()).collect(),
            at: now,
            chain: OnceLock::new(),
        });
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
