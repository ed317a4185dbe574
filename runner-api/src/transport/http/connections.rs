//! How the HTTP library is set up.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::ProxySettings;
use crate::error::Error;
use crate::transport::tls::Tls;

type Customize = Arc<dyn Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync>;

/// Connections to one server that are kept for the next request.
const MOST_IDLE: usize = 8;

/// Everything about connections but TLS.
#[derive(Clone)]
pub(super) struct Connections {
    pub(super) proxy: Option<ProxySettings>,
    pub(super) connect_timeout: Duration,
    pub(super) answer_timeout: Duration,
    pub(super) total_timeout: Duration,
    #[cfg(feature = "gzip")]
    pub(super) gzip: bool,
    customize: Option<Customize>,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            proxy: None,
            connect_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(10 * 60),
            total_timeout: Duration::from_secs(60 * 60),
            #[cfg(feature = "gzip")]
            gzip: true,
            customize: None,
        }
    }
}

impl Connections {
    /// Adds a change after those that are there.
    pub(super) fn customize(
        &mut self,
        change: impl Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync + 'static,
    ) {
        let before = self.customize.take();
        self.customize = Some(Arc::new(move |builder| {
            change(match &before {
                Some(before) => before(builder),
                None => builder,
            })
        }));
    }

    /// A client without any connection yet.
    pub(super) fn client(&self, tls: &Tls) -> Result<reqwest::Client, Error> {
        let mut builder = reqwest::Client::builder()
            .connect_timeout(self.connect_timeout)
            .read_timeout(self.answer_timeout)
            .timeout(self.total_timeout)
            .tcp_keepalive(Duration::from_secs(30))
            .pool_idle_timeout(Duration::from_secs(90))
            // After a burst of jobs that begin together, not all of their connections are needed again.
            .pool_max_idle_per_host(MOST_IDLE)
            .no_proxy();
        #[cfg(feature = "gzip")]
        {
            builder = builder.gzip(self.gzip);
        }
        if let Some(proxy) = self.proxy.clone() {
            for proxy in proxy.into_proxies()? {
                builder = builder.proxy(proxy);
            }
        }
        if let Some(customize) = &self.customize {
            builder = customize(builder);
        }
        // What this crate relies on comes last.
        builder
            .tls_backend_preconfigured(tls.config())
            .tls_info(true)
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .build()
            .map_err(|source| {
                Error::configuration_from("the HTTP client cannot be built", source.without_url())
            })
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections")
            .field("proxy", &self.proxy)
            .field("connect_timeout", &self.connect_timeout)
            .field("answer_timeout", &self.answer_timeout)
            .field("total_timeout", &self.total_timeout)
            .field("customized", &self.customize.is_some())
            .finish_non_exhaustive()
    }
}
