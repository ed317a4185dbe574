//! The client for one entry of the configuration.

use runner_api::transport::{CertificateFiles, HttpTransport, ProxySettings, TrustedRoots};
use runner_api::{BaseUrl, Client, ClientBuilder, ClientKey, ClientPool, Error, RunnerInfo, SecretText};

use crate::config::{self, Resolved, Tls};
use crate::error::{CliError, in_one_line};
use crate::host::Host;

/// Name and version under which GitLab knows this program.
const NAME: &str = "gitlab-runner";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The clients of a configuration. Entries that are one runner to GitLab share theirs; all share what this machine trusts.
#[derive(Debug, Default)]
pub(super) struct Clients {
    pool: ClientPool,
    roots: TrustedRoots,
}

impl Clients {
    /// The client for an entry.
    pub(super) fn client(&self, host: &Host, entry: &Resolved) -> Result<Client, CliError> {
        let url = entry.identity.url.as_str();
        let build = || plain(host, url, &entry.tls, &entry.executor, self.roots.clone());
        self.pool.client(key(entry), build).map_err(|source| refused(url, source))
    }
}

fn key(entry: &Resolved) -> ClientKey {
    let mut key = ClientKey::new(entry.identity.url.as_str(), entry.identity.token.clone());
    if let Some(path) = &entry.tls.ca {
        key = key.with_ca_file(path);
    }
    if let Some((certificate, _)) = &entry.tls.client {
        key = key.with_certificate_file(certificate);
    }
    key
}

/// A client for the instance of an entry.
pub(super) fn for_entry(host: &Host, entry: &Resolved) -> Result<Client, CliError> {
    build(host, entry.identity.url.as_str(), &entry.tls, &entry.executor)
}

/// A client for an instance; `executor` is what the runner tells of itself.
pub(super) fn build(host: &Host, url: &str, tls: &Tls, executor: &str) -> Result<Client, CliError> {
    plain(host, url, tls, executor, TrustedRoots::system()).map_err(|source| refused(url, source))
}

fn refused(url: &str, source: Error) -> CliError {
    CliError::Server { what: format!("cannot talk to {url}"), source }
}

fn plain(host: &Host, url: &str, tls: &Tls, executor: &str, roots: TrustedRoots) -> Result<Client, Error> {
    let mut info = RunnerInfo::new(NAME, VERSION);
    info.executor = executor.to_owned();
    let files = certificate_files(host, tls, &BaseUrl::parse(url)?);
    let builder = HttpTransport::builder().proxy(proxy(host)).trusted_roots(roots);
    let transport = builder.certificate_files(files).build()?;
    ClientBuilder::new(url)?.info(info).transport(transport).build()
}

/// The files that the entry names, and those that lie beside the default configuration under the name of the host.
fn certificate_files(host: &Host, tls: &Tls, url: &BaseUrl) -> CertificateFiles {
    let mut files = CertificateFiles::default();
    if let Some(path) = &tls.ca {
        files = files.with_ca(path);
    }
    if let Some((certificate, key)) = &tls.client {
        files = files.with_client(certificate, key);
    }
    // No reason to give up: the file may come later, and the system's certificates may do.
    if let Err(error) = files.check() {
        tracing::warn!("{}: {}", url.as_str(), in_one_line(&error));
    }
    let configuration = config::default_path(host.uid == 0, host.home().as_deref());
    files.discover(&configuration.with_file_name("certs"), url)
}

/// The usual variables, small letters first.
pub(super) fn proxy(host: &Host) -> ProxySettings {
    let read =
        |name: &str| host.variable(name).or_else(|| host.variable(&name.to_uppercase())).map(str::to_owned);
    let any = read("all_proxy");
    let mut settings = ProxySettings::default();
    settings.http = read("http_proxy").or_else(|| any.clone()).map(SecretText::new);
    settings.https = read("https_proxy").or(any).map(SecretText::new);
    settings.no_proxy = read("no_proxy").unwrap_or_default();
    settings
}
