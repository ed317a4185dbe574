//! How long connections live, and what a program may change about them.

use std::time::Duration;

use runner_api::transport::{HttpTransport, HttpTransportBuilder, ProxySettings, TrustedRoots};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::authority::{issue, root};
use super::server::{NO_JOB, Server};
use super::{ask, client, strict};

/// Asks, lets `age` pass, asks again and tells how many connections that took.
async fn connections_after(age: Duration, server: &Server, transport: HttpTransportBuilder) -> usize {
    let before = server.connections().len();
    // Only the age is to end them.
    let transport = transport.customize(|builder| builder.pool_idle_timeout(None));
    let client = client(server, "localhost", transport);
    ask(&client).await.unwrap();
    tokio::time::pause();
    tokio::time::advance(age).await;
    tokio::time::resume();
    ask(&client).await.unwrap();
    server.open(1).await;
    drop(client);
    server.open(0).await;
    server.connections().len() - before
}

#[tokio::test]
async fn connections_are_begun_anew_after_their_age() {
    let authority = root("one");
    let encrypted = Server::tls(&issue(&authority, "localhost")).await;
    let trusting = || strict().ca_certificates_pem(authority.pem());
    for server in [encrypted, Server::plain(NO_JOB).await] {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        assert_eq!(connections_after(minutes(14), &server, trusting()).await, 1);
        assert_eq!(connections_after(minutes(16), &server, trusting()).await, 2);
        let short = trusting().connection_max_age(minutes(1));
        assert_eq!(connections_after(minutes(2), &server, short).await, 2);
        let forever = trusting().connection_max_age(Duration::ZERO);
        assert_eq!(connections_after(minutes(10_000), &server, forever).await, 1);
    }
}

#[tokio::test]
async fn programs_change_what_is_not_ours() {
    let authority = root("one");
    let server = Server::tls(&issue(&authority, "gitlab.example.com")).await;
    let address = server.address();
    // What is said of TLS does not count.
    let transport = strict().ca_certificates_pem(authority.pem()).customize(move |builder| {
        builder.resolve("gitlab.example.com", address).tls_backend_preconfigured("nothing")
    });
    ask(&client(&server, "gitlab.example.com", transport)).await.unwrap();
}

#[tokio::test]
async fn redirects_stay_ours() {
    let server =
        Server::plain("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n").await;
    let transport =
        HttpTransport::builder().customize(|builder| builder.redirect(reqwest::redirect::Policy::limited(3)));
    let error = ask(&client(&server, "localhost", transport)).await.unwrap_err();
    assert!(error.to_string().contains("use that address as the instance URL"), "{error}");
}

#[tokio::test]
async fn a_proxy_carries_tls_and_does_not_see_inside() {
    let authority = root("one");
    let issued = issue(&authority, "gitlab.example.com");
    let server = Server::tls(&issued).await;
    let (listener, target) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), server.address());
    let mut proxy = ProxySettings::default();
    proxy.https = Some(format!("http://{}", listener.local_addr().unwrap()).into());
    let carry = tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            asked.push(near.read_u8().await.unwrap());
        }
        near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut far = TcpStream::connect(target).await.unwrap();
        // However it ends: the client hangs up at the end of the test.
        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        String::from_utf8(asked).unwrap()
    });

    let roots = TrustedRoots::from_pem(authority.pem()).unwrap();
    let client = client(&server, "gitlab.example.com", strict().trusted_roots(roots).proxy(proxy));
    ask(&client).await.unwrap();
    assert!(client.tls().ca_chain().starts_with(issued.pem().trim().as_bytes()));
    drop(client);
    let asked = carry.await.unwrap();
    assert!(
        asked.starts_with(&format!("CONNECT gitlab.example.com:{} HTTP/1.1\r\n", target.port())),
        "{asked}"
    );
}

#[test]
fn debug_output_is_short_and_holds_no_key() {
    let authority = root("one");
    let issued = issue(&authority, "localhost");
    let transport = strict().ca_certificates_pem(authority.pem());
    let transport = transport.client_certificate_pem(issued.pem(), issued.key_pem()).build().unwrap();
    let text = format!("{transport:?}");
    assert!(!text.contains("BEGIN") && text.len() < 1000, "{text}");
}
