//! Asking where the job router is.

use http::{Method, StatusCode};
use serde::Deserialize;
use url::Url;

use super::Client;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::secret::RunnerToken;

/// The schemes under which a job router can be reached.
const SCHEMES: [&str; 4] = ["grpc", "grpcs", "ws", "wss"];

/// Whether the instance has a job router: a gRPC service from which runners may take jobs instead of polling. This crate
/// finds it but does not speak to it.
///
/// An answer holds for a while (the official runner keeps it for an hour, for all runners of an instance).
///
/// ```
/// use runner_api::RouterDiscovery;
///
/// let found = RouterDiscovery::At { server_url: "wss://kas.example.com".to_owned() };
/// assert_ne!(found, RouterDiscovery::NotEnabled);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RouterDiscovery {
    /// There is one.
    At {
        /// Its address: `grpc`, `grpcs`, `ws` or `wss`.
        server_url: String,
    },
    /// The instance knows of job routers but has none.
    NotEnabled,
    /// The instance is too old to know of job routers.
    Unknown,
}

impl Client {
    /// Asks where the instance's job router is.
    ///
    /// Source: GitLab's Runner API, `GET /api/v4/runners/router/discovery`.
    ///
    /// ```no_run
    /// use runner_api::{RouterDiscovery, RunnerToken};
    ///
    /// # async fn example(client: runner_api::Client) -> Result<(), runner_api::Error> {
    /// match client.discover_router(&RunnerToken::new("glrt-token")).await? {
    ///     RouterDiscovery::At { server_url } => println!("jobs come from {server_url}"),
    ///     _ => println!("jobs are polled for"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::is_forbidden`] when the token is unknown; any other status but 200, 404 and 501; [`Error::is_content`] when
    /// the address cannot be used. All of them mean that jobs are to be polled for.
    pub async fn discover_router(&self, token: &RunnerToken) -> Result<RouterDiscovery, Error> {
        let path = ["runners", "router", "discovery"];
        let call = self.runner_call(Endpoint::RouterDiscovery, Method::GET, &path, token.expose())?;
        let answer = self.exchange(call.accept_json()).await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::NOT_IMPLEMENTED => {
                answer.drain().await;
                return Ok(RouterDiscovery::NotEnabled);
            }
            StatusCode::NOT_FOUND => {
                answer.drain().await;
                return Ok(RouterDiscovery::Unknown);
            }
            _ => return Err(answer.into_error().await),
        }
        let (context, status) = (answer.context.clone(), answer.status);
        let Discovered { server_url } = answer.json().await?;
        let server_url = server_url.unwrap_or_default();
        let usable = Url::parse(&server_url).is_ok_and(|url| {
            SCHEMES.contains(&url.scheme()) && url.host_str().is_some_and(|host| !host.is_empty())
        });
        if !usable {
            let problem = "its `server_url` is not an address with scheme grpc, grpcs, ws or wss";
            return Err(Error::content(context, status, problem, None));
        }
        Ok(RouterDiscovery::At { server_url })
    }
}

#[derive(Deserialize)]
struct Discovered {
    #[serde(default)]
    server_url: Option<String>,
}
