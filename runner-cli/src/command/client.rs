//! The client for one entry of the configuration.

use runner_api::transport::{HttpTransport, ProxySettings};
use runner_api::{Client, ClientBuilder, RunnerInfo, SecretText};

use crate::config::{Resolved, Tls};
use crate::error::CliError;
use crate::host::Host;

/// Name and version under which GitLab knows this program.
const NAME: &str = "gitlab-runner";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A client for the instance of an entry.
pub(super) fn for_entry(host: &Host, entry: &Resolved) -> Result<Client, CliError> {
    build(host, entry.identity.url.as_str(), &entry.tls, &entry.executor)
}

/// A client for an instance; `executor` is what the runner tells of itself.
pub(super) fn build(host: &Host, url: &str, tls: &Tls, executor: &str) -> Result<Client, CliError> {
    let connect = |source| CliError::Server { what: format!("cannot talk to {url}"), source };
    let mut info = RunnerInfo::new(NAME, VERSION);
    info.executor = executor.to_owned();
    let transport = transport(host, tls)?.build().map_err(connect)?;
    ClientBuilder::new(url).map_err(connect)?.info(info).transport(transport).build().map_err(connect)
}

fn transport(host: &Host, tls: &Tls) -> Result<runner_api::transport::HttpTransportBuilder, CliError> {
    let read = |path: &std::path::Path| {
        std::fs::read(path).map_err(CliError::system(format!("cannot read {}", path.display())))
    };
    let mut builder = HttpTransport::builder().proxy(proxy(host));
    if let Some(path) = &tls.ca {
        builder = builder.ca_certificates_pem(read(path)?);
    }
    if let Some((certificate, key)) = &tls.client {
        let key = String::from_utf8_lossy(&read(key)?).into_owned();
        builder = builder.client_certificate_pem(read(certificate)?, SecretText::new(key));
    }
    Ok(builder)
}

/// The usual variables, small letters first.
fn proxy(host: &Host) -> ProxySettings {
    let read =
        |name: &str| host.variable(name).or_else(|| host.variable(&name.to_uppercase())).map(str::to_owned);
    let any = read("all_proxy");
    let mut settings = ProxySettings::default();
    settings.http = read("http_proxy").or_else(|| any.clone()).map(SecretText::new);
    settings.https = read("https_proxy").or(any).map(SecretText::new);
    settings.no_proxy = read("no_proxy").unwrap_or_default();
    settings
}
