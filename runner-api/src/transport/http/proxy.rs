//! Proxies, passed in by the program.

use crate::error::Error;
use crate::secret::SecretText;

/// Proxies for plain and for encrypted requests. Requests to this machine (`localhost`, loopback addresses) never use
/// one.
///
/// ```
/// use runner_api::transport::{HttpTransport, ProxySettings};
///
/// let mut proxy = ProxySettings::default();
/// proxy.https = Some("http://proxy.example.com:3128".into());
/// proxy.no_proxy = "internal.example.com,10.0.0.0/8".to_owned();
/// HttpTransport::builder().proxy(proxy).build()?;
/// # Ok::<(), runner_api::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ProxySettings {
    /// Address of the proxy for `http` URLs; may contain a password.
    pub http: Option<SecretText>,
    /// Address of the proxy for `https` URLs; may contain a password.
    pub https: Option<SecretText>,
    /// Comma-separated hosts, domains, addresses and networks that are reached directly (the `NO_PROXY` form).
    pub no_proxy: String,
}

impl ProxySettings {
    pub(super) fn into_proxies(self) -> Result<Vec<reqwest::Proxy>, Error> {
        let mut direct = "localhost,127.0.0.0/8,::1".to_owned();
        if !self.no_proxy.is_empty() {
            direct.push(',');
            direct.push_str(&self.no_proxy);
        }
        let unusable = |source: reqwest::Error| {
            Error::configuration_from("the proxy address cannot be used", source.without_url())
        };
        let http = self.http.map(|url| reqwest::Proxy::http(url.expose()).map_err(unusable));
        let https = self.https.map(|url| reqwest::Proxy::https(url.expose()).map_err(unusable));
        http.into_iter()
            .chain(https)
            .map(|proxy| Ok(proxy?.no_proxy(reqwest::NoProxy::from_string(&direct))))
            .collect()
    }
}
