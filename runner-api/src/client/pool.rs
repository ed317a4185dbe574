//! Clients that several entries of a configuration share.

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::Client;
use crate::error::Error;
use crate::secret::RunnerToken;

/// One client per instance, token and certificate files. Entries of a configuration that agree in these are one runner
/// to GitLab: they share the [queue position](Client::last_update) and connections. Runners with different tokens share
/// neither.
///
/// A pool belongs to whoever makes it. It keeps its clients, so that a configuration which is loaded anew continues where
/// it was, until [`evict_unused`](Self::evict_unused) is called: after each load, when the clients of the new
/// configuration are made and those of the old one dropped.
///
/// ```
/// use runner_api::{ClientBuilder, ClientKey, ClientPool, RunnerToken};
///
/// let pool = ClientPool::default();
/// let entry = |token: &str| {
///     let key = ClientKey::new("https://gitlab.example.com", RunnerToken::new(token));
///     pool.client(key, || ClientBuilder::new("https://gitlab.example.com")?.build())
/// };
/// let (one, again, other) = (entry("glrt-a")?, entry("glrt-a")?, entry("glrt-b")?);
/// assert_eq!(pool.len(), 2);
///
/// drop(other);
/// assert_eq!(pool.evict_unused(), 1);
/// # Ok::<(), runner_api::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct ClientPool(Mutex<HashMap<ClientKey, Client>>);

impl ClientPool {
    /// The client for `key`, made by `build` if there is none yet.
    ///
    /// What is told about the runner, the retry policy and the observer are those of the client that was built first;
    /// [`Client::with_info`] and its kin change them for one entry without leaving the pool.
    ///
    /// ```
    /// use runner_api::{ClientBuilder, ClientKey, ClientPool, RunnerToken};
    ///
    /// let key = ClientKey::new("https://gitlab.example.com", RunnerToken::new("glrt-a"));
    /// let client = ClientPool::default().client(key, || ClientBuilder::new("https://gitlab.example.com")?.build())?;
    /// assert_eq!(client.base_url().host(), "gitlab.example.com");
    /// # Ok::<(), runner_api::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The error of `build`; nothing is kept then.
    pub fn client(
        &self,
        key: ClientKey,
        build: impl FnOnce() -> Result<Client, Error>,
    ) -> Result<Client, Error> {
        if let Some(client) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(client.clone());
        }
        // Not under the lock: building reads files. Of two that build at once, the first to come back counts.
        let built = build()?;
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(clients.entry(key).or_insert(built).clone())
    }

    /// Forgets the clients that nobody but the pool has, and tells how many they were.
    ///
    /// ```
    /// assert_eq!(runner_api::ClientPool::default().evict_unused(), 0);
    /// ```
    pub fn evict_unused(&self) -> usize {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = clients.len();
        clients.retain(|_, client| Arc::strong_count(&client.shared) > 1);
        before - clients.len()
    }

    /// How many clients there are.
    ///
    /// ```
    /// assert_eq!(runner_api::ClientPool::default().len(), 0);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether there is no client.
    ///
    /// ```
    /// assert!(runner_api::ClientPool::default().is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What makes two entries of a configuration the same runner. Texts and paths are compared as they were written.
///
/// ```
/// use runner_api::{ClientKey, RunnerToken};
///
/// let key = ClientKey::new("https://gitlab.example.com", RunnerToken::new("glrt-a"));
/// assert_ne!(key.clone().with_ca_file("/etc/ca.crt"), key);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ClientKey {
    url: String,
    token: RunnerToken,
    ca_file: Option<PathBuf>,
    certificate_file: Option<PathBuf>,
}

impl ClientKey {
    /// A runner without certificate files.
    ///
    /// ```
    /// use runner_api::{ClientKey, RunnerToken};
    ///
    /// let key = ClientKey::new("https://gitlab.example.com", RunnerToken::new("glrt-a"));
    /// assert_ne!(key, ClientKey::new("https://gitlab.example.com", RunnerToken::new("glrt-b")));
    /// ```
    pub fn new(url: impl Into<String>, token: RunnerToken) -> Self {
        Self { url: url.into(), token, ca_file: None, certificate_file: None }
    }

    /// The same with a CA file (`tls-ca-file`).
    ///
    /// ```
    /// use runner_api::{ClientKey, RunnerToken};
    ///
    /// let key = ClientKey::new("https://gitlab.example.com", RunnerToken::new("glrt-a"));
    /// assert_ne!(key.clone().with_ca_file("/etc/ca.crt"), key.with_ca_file("/etc/other.crt"));
    /// ```
    #[must_use]
    pub fn with_ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// The same with a client certificate (`tls-cert-file`). Its key is no part of this.
    ///
    /// ```
    /// use runner_api::{ClientKey, RunnerToken};
    ///
    /// let key = ClientKey::new("https://gitlab.example.com", RunnerToken::new("glrt-a"));
    /// assert_ne!(key.clone().with_certificate_file("/etc/runner.crt"), key);
    /// ```
    #[must_use]
    pub fn with_certificate_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.certificate_file = Some(path.into());
        self
    }
}

impl Hash for ClientKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.url.hash(state);
        self.token.expose().hash(state);
        self.ca_file.hash(state);
        self.certificate_file.hash(state);
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientKey")
            .field("runner", &self.token.short())
            .field("ca_file", &self.ca_file)
            .field("certificate_file", &self.certificate_file)
            .finish_non_exhaustive()
    }
}
