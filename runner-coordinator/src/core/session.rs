//! The session server of a runner, as it names it in a job request.
//! <https://docs.gitlab.com/ci/interactive_web_terminal/>

use std::fmt;

use secrecy::SecretString;

use super::params::Params;

/// Where GitLab reaches a running job: its terminal at `<url>/exec`, its services below `<url>/proxy`.
#[derive(Clone)]
pub struct Session {
    /// `https://HOST:PORT/session/…`
    pub url: String,
    /// The certificate to trust there, PEM; empty when it is trusted anyway.
    pub certificate: String,
    /// Value of the `Authorization` header, without a scheme.
    pub authorization: SecretString,
}

impl fmt::Debug for Session {
    /// Leaves out the path of the URL: who knows it has half of the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

impl Session {
    /// Reads `session` of a job request; none without a URL.
    pub(super) fn read(params: &Params) -> Option<Self> {
        let session = params.object("session");
        Some(Self {
            url: session.text("url")?.to_owned(),
            certificate: session.text("certificate").unwrap_or_default().to_owned(),
            authorization: SecretString::from(session.text("authorization").unwrap_or_default()),
        })
    }
}
