//! The verified chain of a connection, for others who must verify the same server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::CertificateDer;
use webpki::{EndEntityCert, KeyUsage};

use super::roots::RootSet;
use super::verifier::Shown;

/// How many characters a line of PEM has.
const LINE: usize = 64;

/// The certificates from the server's own to the root. If no path leads to a root, what the server showed.
pub(super) fn verified(
    shown: &Shown,
    roots: &RootSet,
    algorithms: WebPkiSupportedAlgorithms,
) -> Vec<CertificateDer<'static>> {
    path(shown, roots, algorithms)
        .unwrap_or_else(|| std::iter::once(&shown.leaf).chain(&shown.intermediates).cloned().collect())
}

fn path(
    shown: &Shown,
    roots: &RootSet,
    algorithms: WebPkiSupportedAlgorithms,
) -> Option<Vec<CertificateDer<'static>>> {
    let anchors = &roots.store().roots;
    let leaf = EndEntityCert::try_from(&shown.leaf).ok()?;
    let usage = KeyUsage::server_auth();
    let path = leaf
        .verify_for_usage(algorithms.all, anchors, &shown.intermediates, shown.at, usage, None, None)
        .ok()?;
    let mut chain = vec![shown.leaf.clone()];
    chain.extend(path.intermediate_certificates().map(|certificate| certificate.der().into_owned()));
    // Anchors are not whole certificates; the certificates lie in the same order.
    let root = anchors.iter().position(|anchor| anchor == path.anchor());
    let root = root.and_then(|root| roots.certificates().get(root))?;
    if !chain.contains(root) {
        chain.push(root.clone());
    }
    Some(chain)
}

/// PEM text without a line end after the last certificate.
pub(super) fn pem(chain: &[CertificateDer<'_>]) -> String {
    let mut text = String::new();
    for certificate in chain {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in certificate.chunks(LINE / 4 * 3) {
            STANDARD.encode_string(line, &mut text);
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----");
    }
    text
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn pem_can_be_read_again() {
        for length in [1, 47, 48, 49, 96, 500] {
            let certificates =
                [CertificateDer::from(vec![7; length]), CertificateDer::from(vec![9; length + 1])];
            let text = pem(&certificates);
            assert!(text.lines().all(|line| line.len() <= LINE), "{text}");
            assert!(text.lines().all(|line| !line.is_empty()) && !text.ends_with('\n'), "{text}");
            let again = CertificateDer::pem_slice_iter(text.as_bytes());
            assert_eq!(again.map(Result::unwrap).collect::<Vec<_>>(), certificates);
        }
        assert_eq!(pem(&[]), "");
    }
}
