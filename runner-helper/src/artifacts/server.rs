//! The way to the server.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use runner_api::transport::{HttpTransport, HttpTransportBuilder, ProxySettings};
use runner_api::{ClientBuilder, JobClient, JobToken, SecretText};

use super::args::ServerArgs;
use crate::files::fatal::Fatal;
use crate::files::report::Report;
use crate::files::surroundings::Surroundings;

/// Limits of one request.
pub(super) struct Limits {
    pub(super) total: Duration,
    pub(super) answer: Duration,
}

/// A client for the job that the arguments name.
pub(super) fn job(
    args: &ServerArgs,
    limits: &Limits,
    proxy: ProxySettings,
    report: &mut Report<'_>,
) -> Result<JobClient, Fatal> {
    if args.url.is_empty() || args.token.is_empty() {
        return Err(Fatal::MissingCredentials);
    }
    if args.id == 0 {
        return Err(Fatal::MissingId);
    }
    let unusable = |error| Fatal::failed("cannot reach the server", error);
    let transport =
        HttpTransport::builder().total_timeout(limits.total).answer_timeout(limits.answer).proxy(proxy);
    let transport = with_tls(transport, args, report).build().map_err(unusable)?;
    let client =
        ClientBuilder::new(&args.url).map_err(unusable)?.transport(transport).build().map_err(unusable)?;
    Ok(client.job(args.id, JobToken::new(args.token.expose())))
}

/// Proxies of the environment, in upper or lower case.
pub(super) fn proxy(surroundings: &Surroundings<'_>) -> ProxySettings {
    let variable = |upper: &str, lower: &str| surroundings.variable(upper).or(surroundings.variable(lower));
    let mut proxy = ProxySettings::default();
    proxy.http = variable("HTTP_PROXY", "http_proxy").map(SecretText::new);
    proxy.https = variable("HTTPS_PROXY", "https_proxy").map(SecretText::new);
    proxy.no_proxy = variable("NO_PROXY", "no_proxy").unwrap_or_default().to_owned();
    proxy
}

fn with_tls(
    transport: HttpTransportBuilder,
    args: &ServerArgs,
    report: &mut Report<'_>,
) -> HttpTransportBuilder {
    let mut read =
        |path: &Option<std::path::PathBuf>| path.as_deref().and_then(|path| contents(path, report));
    let (ca, certificate, key) =
        (read(&args.tls_ca_file), read(&args.tls_cert_file), read(&args.tls_key_file));
    let transport = match ca {
        Some(ca) => transport.ca_certificates_pem(ca),
        None => transport,
    };
    match (certificate, key) {
        (Some(certificate), Some(key)) => {
            transport.client_certificate_pem(certificate, SecretText::new(String::from_utf8_lossy(&key)))
        }
        _ => transport,
    }
}

/// A file that may be absent. One that is there and cannot be read is worth a line, not the job.
fn contents(path: &Path, report: &mut Report<'_>) -> Option<Vec<u8>> {
    match std::fs::read(path) {
        Ok(contents) => Some(contents).filter(|contents| !contents.is_empty()),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => {
            report.error(format_args!("cannot read {}: {error}", path.display()));
            None
        }
    }
}
