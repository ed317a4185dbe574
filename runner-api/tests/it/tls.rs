//! TLS with a private authority: trusted when passed in, refused otherwise, and the other way round with client
//! certificates.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use runner_api::retry::RetryPolicy;
use runner_api::transport::{HttpTransport, HttpTransportBuilder};
use runner_api::{Client, ClientBuilder, JobRequest, RunnerCredentials, SecretText};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto::ring};

type Authority = CertifiedIssuer<'static, KeyPair>;

/// An authority with this name.
fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for `name` and its key.
fn issue(authority: &Authority, name: &str) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([name.to_owned()]).unwrap();
    (params.signed_by(&key, authority).unwrap(), key)
}

/// Answers every request on a TLS connection with "no job", until it is aborted.
async fn server(
    authority: &Authority,
    name: &str,
    clients: Option<&Authority>,
) -> (SocketAddr, JoinHandle<()>) {
    let (certificate, key) = issue(authority, name);
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.der().clone()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = key.serialize_der().try_into().unwrap();
    let config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut buffer = vec![0; 65536];
            if stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await;
            }
            let _ = stream.shutdown().await;
        }
    });
    (address, serve)
}

fn client(address: SocketAddr, host: &str, transport: HttpTransportBuilder) -> Client {
    let url = format!("https://{host}:{}", address.port());
    let transport = transport.build().unwrap();
    ClientBuilder::new(&url).unwrap().transport(transport).retry(RetryPolicy::off()).build().unwrap()
}

async fn ask(client: &Client) -> Result<(), runner_api::Error> {
    client.request_job(&JobRequest::new(RunnerCredentials::new("t"))).await.map(|_| ())
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(" / ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn a_private_authority_is_trusted_when_passed_in() {
    let authority = authority("one");
    let (address, serve) = server(&authority, "localhost", None).await;
    let trusting = HttpTransport::builder().ca_certificates_pem(authority.pem());
    ask(&client(address, "localhost", trusting.clone())).await.unwrap();

    // The name in the certificate counts, not only who signed it.
    let error = ask(&client(address, "127.0.0.1", trusting)).await.unwrap_err();
    assert!(error.is_connect() && !error.is_configuration(), "{error:?}");
    assert!(causes(&error).contains("not valid for name"), "{}", causes(&error));
    serve.abort();
}

#[tokio::test]
async fn an_unknown_authority_is_refused() {
    let (address, serve) = server(&authority("one"), "localhost", None).await;
    let other = HttpTransport::builder().ca_certificates_pem(authority("another").pem());
    let error = ask(&client(address, "localhost", other)).await.unwrap_err();
    assert!(error.is_connect(), "{error:?}");
    assert!(causes(&error).contains("UnknownIssuer"), "{}", causes(&error));
    serve.abort();
}

#[tokio::test]
async fn a_client_certificate_opens_the_door() {
    let (servers, clients) = (authority("servers"), authority("clients"));
    let (address, serve) = server(&servers, "localhost", Some(&clients)).await;
    let trusting = HttpTransport::builder().ca_certificates_pem(servers.pem());
    let error = ask(&client(address, "localhost", trusting.clone())).await.unwrap_err();
    assert!(error.is_transport(), "{error:?}");

    let (certificate, key) = issue(&clients, "runner");
    let known = trusting.client_certificate_pem(certificate.pem(), SecretText::new(key.serialize_pem()));
    ask(&client(address, "localhost", known)).await.unwrap();
    serve.abort();
}

#[test]
fn broken_certificates_are_configuration_errors() {
    let authority = authority("one");
    let key = || SecretText::new(KeyPair::generate().unwrap().serialize_pem());
    for builder in [
        HttpTransport::builder().ca_certificates_pem("nothing"),
        HttpTransport::builder()
            .ca_certificates_pem("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"),
        HttpTransport::builder().client_certificate_pem(authority.pem(), SecretText::new("nothing")),
        HttpTransport::builder().client_certificate_pem("nothing", key()),
        // A key that does not belong to the certificate.
        HttpTransport::builder().client_certificate_pem(authority.pem(), key()),
    ] {
        let error = builder.build().unwrap_err();
        assert!(error.is_configuration(), "{error}");
    }
}
