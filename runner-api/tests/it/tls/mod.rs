//! The default transport against real TLS servers: whom it trusts, what it shows, and what it tells of it.

mod authority;
mod chain;
mod connections;
mod files;
mod pool;
mod server;
mod verification;

use std::error::Error as StdError;

use runner_api::retry::RetryPolicy;
use runner_api::transport::{HttpTransport, HttpTransportBuilder, TrustedRoots};
use runner_api::{Client, ClientBuilder, JobAnswer, JobRequest, RunnerCredentials};

use self::server::Server;

/// A transport that trusts nobody but one authority that no server here uses.
fn strict() -> HttpTransportBuilder {
    let nobody = authority::root("nobody");
    HttpTransport::builder().trusted_roots(TrustedRoots::from_pem(nobody.pem()).unwrap())
}

fn client(server: &Server, host: &str, transport: HttpTransportBuilder) -> Client {
    let transport = transport.build().unwrap();
    let builder = ClientBuilder::new(&server.url(host)).unwrap();
    builder.transport(transport).retry(RetryPolicy::off()).build().unwrap()
}

async fn ask(client: &Client) -> Result<JobAnswer, runner_api::Error> {
    client.request_job(&JobRequest::new(RunnerCredentials::new("t"))).await
}

/// An error with all its causes.
fn causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(" / ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
