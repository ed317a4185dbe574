//! What jobs are told about the connection.

use runner_api::transport::TrustedRoots;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use super::authority::{intermediate, issue, root};
use super::server::{NO_JOB, Server};
use super::{ask, client, strict};

fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).map(Result::unwrap).collect()
}

#[tokio::test]
async fn scenario_07_the_verified_chain_is_told_leaf_first() {
    let (top, stranger) = (root("top"), root("stranger"));
    let (upper, lower) = (intermediate("upper", &top), intermediate("lower", &intermediate("x", &stranger)));
    let middle = intermediate("middle", &upper);
    // Shown in a strange order, with one that has nothing to do with it, and without the root.
    let issued = issue(&middle, "localhost").with(upper.der()).with(lower.der()).with(middle.der());
    let server = Server::tls(&issued).await;
    let roots = format!("{}{}", stranger.pem(), top.pem());
    let transport = strict().trusted_roots(TrustedRoots::from_pem(roots).unwrap());
    let client = client(&server, "localhost", transport);
    assert!(client.tls().is_empty(), "nothing is known yet");

    ask(&client).await.unwrap();
    let tls = client.tls();
    let expected = [issued.certificate.der(), middle.der(), upper.der(), top.der()].map(Clone::clone);
    assert_eq!(certificates(tls.ca_chain()), expected);
    let text = std::str::from_utf8(tls.ca_chain()).unwrap();
    assert_eq!(text.trim(), text);
    assert_eq!((tls.client_certificate(), tls.client_key()), (None, None));

    // It is enough for a job that trusts nobody else.
    ask(&super::client(&server, "localhost", strict().ca_certificates_pem(tls.ca_chain()))).await.unwrap();
}

#[tokio::test]
async fn scenario_07_a_chain_with_its_root_is_told_once() {
    let top = root("top");
    let issued = issue(&top, "localhost").with(top.der());
    let server = Server::tls(&issued).await;
    let transport = strict().trusted_roots(TrustedRoots::from_pem(top.pem()).unwrap());
    let client = client(&server, "localhost", transport);
    ask(&client).await.unwrap();
    assert_eq!(
        certificates(client.tls().ca_chain()),
        [issued.certificate.der(), top.der()].map(Clone::clone)
    );
}

#[tokio::test]
async fn scenario_07_plain_http_has_no_chain() {
    let server = Server::plain(NO_JOB).await;
    let client = client(&server, "127.0.0.1", strict());
    ask(&client).await.unwrap();
    assert!(client.tls().is_empty());
}

#[tokio::test]
async fn a_resumed_session_tells_the_same_chain() {
    let top = root("top");
    let server = Server::tls(&issue(&top, "localhost")).await;
    let transport = strict()
        .trusted_roots(TrustedRoots::from_pem(top.pem()).unwrap())
        .customize(|builder| builder.pool_max_idle_per_host(0));
    let client = client(&server, "localhost", transport);
    ask(&client).await.unwrap();
    let first = client.tls();
    server.open(0).await;
    ask(&client).await.unwrap();
    let resumed: Vec<bool> = server.connections().iter().map(|connection| connection.resumed).collect();
    assert_eq!(resumed, [false, true]);
    assert_eq!(client.tls(), first);
    assert_eq!(certificates(first.ca_chain()).len(), 2);
}

#[tokio::test]
async fn what_was_passed_in_is_told_as_it_is() {
    let (servers, clients) = (root("servers"), root("clients"));
    let own = issue(&clients, "runner");
    let ca = format!("# our authority\n\n{}\n", servers.pem());
    let with = strict().ca_certificates_pem(ca.clone()).client_certificate_pem(own.pem(), own.key_pem());
    let encrypted = Server::tls(&issue(&servers, "localhost")).await;
    for server in [encrypted, Server::plain(NO_JOB).await] {
        let client = client(&server, "localhost", with.clone());
        ask(&client).await.unwrap();
        let tls = client.tls();
        assert_eq!(tls.ca_chain(), ca.as_bytes());
        assert_eq!(tls.client_certificate(), Some(own.pem().as_bytes()));
        assert_eq!(tls.client_key(), Some(&own.key_pem()));
        assert!(!format!("{tls:?}").contains("PRIVATE"));
    }
}
