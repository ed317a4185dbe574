//! What is wrong with a certificate.

use std::fmt;

/// What is wrong with a certificate, the server's or the client's own. The text says what to do about it.
///
/// ```
/// use runner_api::transport::CertificateProblem;
///
/// let problem = CertificateProblem::UnknownAuthority;
/// assert!(!problem.is_own());
/// assert!(problem.to_string().starts_with("the server's certificate is signed by an authority that is not trusted"));
/// assert!(CertificateProblem::OwnMissing.is_own());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// Nobody who is trusted here has signed the server's certificate.
    UnknownAuthority,
    /// The server's certificate, or one that signed it, has expired.
    Expired,
    /// The server's certificate, or one that signed it, becomes valid in the future.
    NotYetValid,
    /// The server's certificate is for other host names or addresses.
    WrongHost,
    /// The server's certificate cannot be used for another reason.
    Unusable,
    /// The server wants a client certificate, and there is none.
    OwnMissing,
    /// The server does not accept the client certificate.
    OwnRefused,
}

impl CertificateProblem {
    /// Whether it is about the client's own certificate, not the server's.
    ///
    /// ```
    /// use runner_api::transport::CertificateProblem;
    ///
    /// assert!(CertificateProblem::OwnRefused.is_own());
    /// assert!(!CertificateProblem::Expired.is_own());
    /// ```
    #[must_use]
    pub fn is_own(self) -> bool {
        matches!(self, Self::OwnMissing | Self::OwnRefused)
    }
}

impl fmt::Display for CertificateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownAuthority => {
                "the server's certificate is signed by an authority that is not trusted here: name a file with the \
                 authority's certificate (tls-ca-file), or add it to the trusted certificates of this machine"
            }
            Self::Expired => {
                "the server's certificate has expired: it must be renewed there, or the clock of this machine is wrong"
            }
            Self::NotYetValid => {
                "the server's certificate is not valid yet: the clock of this machine or of the server is wrong"
            }
            Self::WrongHost => {
                "the server's certificate is for another host: use the name that it was made for, or have it made for \
                 this one"
            }
            Self::Unusable => "the server's certificate cannot be used",
            Self::OwnMissing => {
                "the server wants a client certificate: name the files with a certificate and its key \
                 (tls-cert-file, tls-key-file)"
            }
            Self::OwnRefused => {
                "the server does not accept the client certificate: it may have expired or been revoked, or the server \
                 does not trust its authority"
            }
        })
    }
}
