//! The HTTP client in use, replaced when the certificate files change or its connections are too old.

use std::error::Error as _;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::connections::Connections;
use super::stamp::Stamp;
use crate::error::Error;
use crate::transport::certificate_files::{self, CertificateFiles};
use crate::transport::tls::{Authorities, Identity, Tls, TrustedRoots};

/// What a transport trusts and shows, wherever it came from.
#[derive(Clone, Default)]
pub(super) struct Material {
    pub(super) authorities: Option<Authorities>,
    pub(super) identity: Option<Identity>,
}

/// Where it comes from.
pub(super) struct Certificates {
    pub(super) roots: TrustedRoots,
    pub(super) files: CertificateFiles,
}

/// Hands out the client for each request.
pub(super) struct Live {
    connections: Connections,
    max_age: Duration,
    certificates: Certificates,
    state: Mutex<State>,
}

/// A client and its TLS side.
#[derive(Clone)]
pub(super) struct Current {
    pub(super) client: reqwest::Client,
    pub(super) tls: Arc<Tls>,
}

struct State {
    current: Current,
    material: Material,
    /// Of the files when `material` was read from them.
    stamps: Vec<Option<Stamp>>,
    /// The first request with this client.
    since: Option<Instant>,
}

impl Live {
    /// `given` is used where there are no files.
    pub(super) fn begin(
        connections: Connections,
        max_age: Duration,
        certificates: Certificates,
        given: &Material,
    ) -> Result<Self, Error> {
        let stamps = certificates.stamps();
        let material = certificates.read(given, "it is not used");
        let tls = Arc::new(certificates.tls(&material)?);
        let current = Current { client: connections.client(&tls)?, tls };
        let state = Mutex::new(State { current, material, stamps, since: None });
        Ok(Self { connections, max_age, certificates, state })
    }

    /// The client for a request that is about to be sent.
    pub(super) async fn current(self: &Arc<Self>) -> Current {
        let now = Instant::now();
        if self.certificates.files.is_empty() {
            return self.refresh(now);
        }
        let this = Arc::clone(self);
        match tokio::task::spawn_blocking(move || this.refresh(now)).await {
            Ok(current) => current,
            // The runtime ends: what is there is good enough.
            Err(_) => self.state.lock().unwrap_or_else(PoisonError::into_inner).current.clone(),
        }
    }

    /// Looks at files: not to be called on a thread that must not wait, if there are any.
    fn refresh(&self, now: Instant) -> Current {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = self.certificates.stamps();
        if state.stamps != stamps {
            // Also when it fails: another try makes sense after another change.
            state.stamps = stamps;
            let material = self.certificates.read(&state.material, "what was in use stays in use");
            if !material.same_as(&state.material) {
                self.replace(&mut state, material);
            }
        }
        let age = now.saturating_duration_since(*state.since.get_or_insert(now));
        if !self.max_age.is_zero() && age > self.max_age {
            match self.connections.client(&state.current.tls) {
                Ok(client) => {
                    state.current.client = client;
                    state.since = Some(now);
                }
                Err(error) => warn(&error, "connections are used beyond their age"),
            }
        }
        state.current.clone()
    }

    fn replace(&self, state: &mut State, material: Material) {
        let built = self.certificates.tls(&material).and_then(|tls| {
            let client = self.connections.client(&tls)?;
            Ok(Current { client, tls: Arc::new(tls) })
        });
        match built {
            Ok(current) => {
                tracing::info!("certificate files have changed: new connections use them");
                *state = State { current, material, stamps: std::mem::take(&mut state.stamps), since: None };
            }
            Err(error) => warn(&error, "what was in use stays in use"),
        }
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport")
            .field("connections", &self.connections)
            .field("max_age", &self.max_age)
            .field("files", &self.certificates.files)
            .finish_non_exhaustive()
    }
}

impl Certificates {
    fn stamps(&self) -> Vec<Option<Stamp>> {
        self.files.paths().map(|path| path.and_then(Stamp::of)).collect()
    }

    /// What is in the files now, or what is known where they give nothing.
    fn read(&self, known: &Material, otherwise: &str) -> Material {
        let authorities =
            self.files.ca.as_deref().and_then(|path| usable(certificate_files::authorities(path), otherwise));
        let identity = match (self.files.certificate.as_deref(), self.files.key.as_deref()) {
            (Some(certificate), Some(key)) => {
                usable(certificate_files::identity(certificate, key), otherwise)
            }
            (None, None) => None,
            (Some(path), None) | (None, Some(path)) => {
                let path = path.display();
                tracing::warn!(
                    "{path} is not used: a client certificate needs a certificate file and a key file"
                );
                None
            }
        };
        Material {
            authorities: authorities.or_else(|| known.authorities.clone()),
            identity: identity.or_else(|| known.identity.clone()),
        }
    }

    fn tls(&self, material: &Material) -> Result<Tls, Error> {
        Tls::new(self.roots.clone(), material.authorities.clone(), material.identity.clone())
    }
}

impl Material {
    fn same_as(&self, other: &Self) -> bool {
        let authorities = match (&self.authorities, &other.authorities) {
            (None, None) => true,
            (Some(one), Some(other)) => one.pem() == other.pem(),
            _ => false,
        };
        let identity = match (&self.identity, &other.identity) {
            (None, None) => true,
            (Some(one), Some(other)) => one.same_as(other),
            _ => false,
        };
        authorities && identity
    }
}

fn usable<T>(read: Result<Option<T>, Error>, otherwise: &str) -> Option<T> {
    read.unwrap_or_else(|error| {
        warn(&error, otherwise);
        None
    })
}

fn warn(error: &Error, otherwise: &str) {
    let cause = error.source().map(tracing::field::display);
    tracing::warn!(cause, "{error}: {otherwise}");
}
