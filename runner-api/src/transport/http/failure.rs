//! Errors of the HTTP library, translated.

use std::error::Error as StdError;

use rustls::{AlertDescription, CertificateError};

use crate::transport::progress::RequestBodyError;
use crate::transport::{CertificateProblem, TransportError, TransportErrorKind};

/// Why a request got no answer. The error's URL is dropped: a query may hold a signature. `shown` tells whether there
/// was a client certificate to show.
pub(super) fn of_request(source: reqwest::Error, shown: bool) -> TransportError {
    let kind = if has_cause::<RequestBodyError>(&source) {
        TransportErrorKind::RequestBody
    } else if let Some(problem) = certificate_problem(&source, shown) {
        TransportErrorKind::Certificate(problem)
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

/// Why an answer ended early.
pub(super) fn of_body(source: reqwest::Error) -> TransportError {
    let kind =
        if source.is_timeout() { TransportErrorKind::Timeout } else { TransportErrorKind::ResponseBody };
    TransportError::new(kind, source.without_url())
}

fn certificate_problem(error: &reqwest::Error, shown: bool) -> Option<CertificateProblem> {
    causes(error).find_map(|cause| match cause.downcast_ref()? {
        rustls::Error::InvalidCertificate(problem) => Some(of_server(problem)),
        rustls::Error::NoCertificatesPresented => Some(CertificateProblem::Unusable),
        rustls::Error::AlertReceived(alert) => of_client(*alert, shown),
        _ => None,
    })
}

fn of_server(problem: &CertificateError) -> CertificateProblem {
    match problem {
        CertificateError::UnknownIssuer => CertificateProblem::UnknownAuthority,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => CertificateProblem::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            CertificateProblem::NotYetValid
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            CertificateProblem::WrongHost
        }
        _ => CertificateProblem::Unusable,
    }
}

/// What the server's words about our certificate mean.
fn of_client(alert: AlertDescription, shown: bool) -> Option<CertificateProblem> {
    let about_ours = matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
    );
    let problem = if shown { CertificateProblem::OwnRefused } else { CertificateProblem::OwnMissing };
    about_ours.then_some(problem)
}

fn has_cause<T: StdError + 'static>(error: &(dyn StdError + 'static)) -> bool {
    causes(error).any(<dyn StdError>::is::<T>)
}

/// The causes of an error.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(error.source(), |cause| next(*cause))
}

/// The next cause. An I/O error does not name what it was made from, but its cause.
fn next<'a>(cause: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match cause.downcast_ref::<std::io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn StdError + 'static)),
        None => cause.source(),
    }
}
