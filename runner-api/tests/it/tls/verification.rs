//! Whom the transport trusts, and what it says when it does not.

use runner_api::SecretText;
use runner_api::transport::{CertificateProblem, HttpTransport};
use tokio_rustls::rustls::version;

use super::authority::{issue, issue_for, root, self_signed};
use super::server::Server;
use super::{ask, causes, client, strict};

/// Asks and checks that a certificate is the problem, that the message names the host and what to do.
async fn refused(client: &runner_api::Client, problem: CertificateProblem, texts: &[&str]) {
    let error = ask(client).await.unwrap_err();
    assert_eq!(error.certificate_problem(), Some(problem), "{}", causes(&error));
    assert!(error.is_certificate() && error.is_transport() && !error.is_configuration(), "{error:?}");
    assert!(error.to_string().contains(client.base_url().host()), "{error}");
    for text in texts {
        assert!(causes(&error).contains(text), "{text:?} in {}", causes(&error));
    }
}

#[tokio::test]
async fn a_private_authority_is_trusted_when_passed_in() {
    let authority = root("one");
    let server = Server::tls(&issue(&authority, "localhost")).await;
    let trusting = strict().ca_certificates_pem(authority.pem());
    ask(&client(&server, "localhost", trusting.clone())).await.unwrap();

    // The name in the certificate counts, not only who signed it.
    let texts = ["is for another host", "localhost", "127.0.0.1"];
    refused(&client(&server, "127.0.0.1", trusting), CertificateProblem::WrongHost, &texts).await;
}

#[tokio::test]
async fn an_unknown_authority_is_refused() {
    let server = Server::tls(&issue(&root("one"), "localhost")).await;
    let texts = ["an authority that is not trusted here", "tls-ca-file"];
    let other = strict().ca_certificates_pem(root("another").pem());
    for transport in [strict(), other] {
        let client = client(&server, "localhost", transport);
        refused(&client, CertificateProblem::UnknownAuthority, &texts).await;
        assert!(ask(&client).await.unwrap_err().is_connect());
    }
}

#[tokio::test]
async fn the_time_of_a_certificate_counts() {
    let authority = root("one");
    let trusting = strict().ca_certificates_pem(authority.pem());
    let past = Server::tls(&issue_for(&authority, "localhost", 2001..2002)).await;
    let past = client(&past, "localhost", trusting.clone());
    refused(&past, CertificateProblem::Expired, &["has expired", "renewed"]).await;

    let future = Server::tls(&issue_for(&authority, "localhost", 4000..4001)).await;
    let future = client(&future, "localhost", trusting);
    refused(&future, CertificateProblem::NotYetValid, &["not valid yet", "clock"]).await;
}

#[tokio::test]
async fn a_client_certificate_opens_the_door() {
    let (servers, clients) = (root("servers"), root("clients"));
    let trusting = strict().ca_certificates_pem(servers.pem());
    let known = issue(&clients, "runner");
    let stranger = issue(&root("strangers"), "runner");
    for version in [&version::TLS12, &version::TLS13] {
        let server = Server::mutual(&issue(&servers, "localhost"), &clients, version).await;
        let without = client(&server, "localhost", trusting.clone());
        let texts = ["wants a client certificate", "tls-cert-file"];
        refused(&without, CertificateProblem::OwnMissing, &texts).await;

        let with = trusting.clone().client_certificate_pem(stranger.pem(), stranger.key_pem());
        let texts = ["does not accept the client certificate"];
        refused(&client(&server, "localhost", with), CertificateProblem::OwnRefused, &texts).await;
        assert!(server.connections().is_empty());

        let with = trusting.clone().client_certificate_pem(known.pem(), known.key_pem());
        ask(&client(&server, "localhost", with)).await.unwrap();
        assert_eq!(server.connections()[0].shown.as_ref(), Some(known.certificate.der()));
    }
}

#[tokio::test]
async fn a_server_that_is_its_own_authority_is_trusted_when_passed_in() {
    let own = self_signed("localhost", 1975..4096);
    let server = Server::tls(&own).await;
    let trusting = strict().ca_certificates_pem(own.pem());
    ask(&client(&server, "localhost", trusting.clone())).await.unwrap();

    // Everything else about it still counts.
    let wrong = client(&server, "127.0.0.1", trusting);
    refused(&wrong, CertificateProblem::WrongHost, &["is for another host"]).await;
    let old = self_signed("localhost", 2001..2002);
    let server = Server::tls(&old).await;
    let expired = client(&server, "localhost", strict().ca_certificates_pem(old.pem()));
    refused(&expired, CertificateProblem::Expired, &["has expired"]).await;
    let server = Server::tls(&self_signed("localhost", 1975..4096)).await;
    let error =
        ask(&client(&server, "localhost", strict().ca_certificates_pem(own.pem()))).await.unwrap_err();
    assert!(error.is_certificate(), "{error:?}");
}

#[tokio::test]
async fn one_unusable_certificate_does_not_spoil_the_others() {
    let authority = root("one");
    let server = Server::tls(&issue(&authority, "localhost")).await;
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let trusting = strict().ca_certificates_pem(format!("# ours\n{broken}{}", authority.pem()));
    ask(&client(&server, "localhost", trusting)).await.unwrap();
}

#[test]
fn broken_certificates_are_configuration_errors() {
    let issued = issue(&root("one"), "localhost");
    let other = issue(&root("one"), "localhost");
    for builder in [
        HttpTransport::builder().ca_certificates_pem("nothing"),
        HttpTransport::builder()
            .ca_certificates_pem("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"),
        HttpTransport::builder().client_certificate_pem(issued.pem(), SecretText::new("nothing")),
        HttpTransport::builder().client_certificate_pem("nothing", issued.key_pem()),
        // A key that does not belong to the certificate.
        HttpTransport::builder().client_certificate_pem(issued.pem(), other.key_pem()),
    ] {
        let error = builder.build().unwrap_err();
        assert!(error.is_configuration(), "{error}");
    }
}
