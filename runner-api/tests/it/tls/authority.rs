//! Authorities and what they sign.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use runner_api::SecretText;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub(super) type Authority = CertifiedIssuer<'static, KeyPair>;

/// A certificate with its key, and the certificates between it and the root.
pub(super) struct Issued {
    pub(super) certificate: rcgen::Certificate,
    key: KeyPair,
    between: Vec<CertificateDer<'static>>,
}

impl Issued {
    /// As a server presents it.
    pub(super) fn chain(&self) -> Vec<CertificateDer<'static>> {
        std::iter::once(self.certificate.der().clone()).chain(self.between.iter().cloned()).collect()
    }

    pub(super) fn key(&self) -> PrivateKeyDer<'static> {
        self.key.serialize_der().try_into().unwrap()
    }

    pub(super) fn pem(&self) -> String {
        self.certificate.pem()
    }

    pub(super) fn key_pem(&self) -> SecretText {
        SecretText::new(self.key.serialize_pem())
    }

    /// Presents this, too.
    pub(super) fn with(mut self, certificate: &CertificateDer<'static>) -> Self {
        self.between.push(certificate.clone());
        self
    }
}

/// An authority that has signed itself.
pub(super) fn root(name: &str) -> Authority {
    CertifiedIssuer::self_signed(authority(name), KeyPair::generate().unwrap()).unwrap()
}

/// An authority that another one has signed.
pub(super) fn intermediate(name: &str, root: &Authority) -> Authority {
    CertifiedIssuer::signed_by(authority(name), KeyPair::generate().unwrap(), root).unwrap()
}

/// A certificate for `host`.
pub(super) fn issue(authority: &Authority, host: &str) -> Issued {
    issue_for(authority, host, 1975..4096)
}

/// A certificate that is valid from the beginning of one year to that of another.
pub(super) fn issue_for(authority: &Authority, host: &str, years: std::ops::Range<i32>) -> Issued {
    let key = KeyPair::generate().unwrap();
    let certificate = server(host, years).signed_by(&key, authority).unwrap();
    Issued { certificate, key, between: Vec::new() }
}

/// What `openssl req -x509` makes: a server's certificate that is its own authority.
pub(super) fn self_signed(host: &str, years: std::ops::Range<i32>) -> Issued {
    let key = KeyPair::generate().unwrap();
    let mut params = server(host, years);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.extended_key_usages = Vec::new();
    Issued { certificate: params.self_signed(&key).unwrap(), key, between: Vec::new() }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn server(host: &str, years: std::ops::Range<i32>) -> CertificateParams {
    let mut params = CertificateParams::new([host.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, format!("server of {host}"));
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.not_before = rcgen::date_time_ymd(years.start, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.end, 1, 1);
    params
}
