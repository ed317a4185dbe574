//! Certificates in files: found by the host's name, and read again when they change.

use std::path::PathBuf;

use runner_api::BaseUrl;
use runner_api::transport::CertificateFiles;
use tempfile::TempDir;

use super::authority::{Issued, issue, root};
use super::server::Server;
use super::{ask, client, strict};

/// A folder of certificates.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        // By another name first, as whoever renews certificates does.
        std::fs::write(self.path("new"), content).unwrap();
        std::fs::rename(self.path("new"), self.path(name)).unwrap();
    }

    fn write_client(&self, issued: &Issued) {
        self.write("client.crt", issued.pem());
        self.write("client.key", issued.key_pem().expose());
    }

    fn files(&self) -> CertificateFiles {
        CertificateFiles::default().with_ca(self.path("ca.crt"))
    }

    fn client_files(&self) -> CertificateFiles {
        self.files().with_client(self.path("client.crt"), self.path("client.key"))
    }
}

#[tokio::test]
async fn scenario_05_the_certificate_of_the_host_is_found_and_told_byte_by_byte() {
    let authority = root("one");
    let folder = Folder::new();
    let content = format!("Our authority, since 2001\r\n\r\n{}\n\n", authority.pem());
    folder.write("localhost.crt", &content);
    let server = Server::tls(&issue(&authority, "localhost")).await;
    let url = BaseUrl::parse(&server.url("localhost")).unwrap();
    let files = CertificateFiles::default().discover(folder.0.path(), &url);
    let client = client(&server, "localhost", strict().certificate_files(files));
    ask(&client).await.unwrap();
    assert_eq!(client.tls().ca_chain(), content.as_bytes());
}

#[tokio::test]
async fn scenario_09_replaced_files_count_from_the_next_request() {
    let (old, new) = (root("old"), root("new"));
    let (old_client, new_client) = (issue(&old, "runner"), issue(&new, "runner"));
    let folder = Folder::new();
    folder.write("ca.crt", old.pem());
    folder.write_client(&old_client);
    let server = Server::tls(&issue(&old, "localhost")).await;
    server.rotate(&issue(&old, "localhost"), Some(&old));
    let client = client(&server, "localhost", strict().certificate_files(folder.client_files()));
    ask(&client).await.unwrap();
    ask(&client).await.unwrap();
    assert_eq!(server.connections().len(), 1, "nothing has changed");

    server.rotate(&issue(&new, "localhost"), Some(&new));
    folder.write("ca.crt", new.pem());
    folder.write_client(&new_client);
    ask(&client).await.unwrap();
    let shown: Vec<_> = server.connections().into_iter().map(|connection| connection.shown).collect();
    let expected = [&old_client, &new_client].map(|issued| Some(issued.certificate.der().clone()));
    assert_eq!(shown, expected);
    assert_eq!(client.tls().ca_chain(), new.pem().as_bytes());
    assert_eq!(client.tls().client_key(), Some(&new_client.key_pem()));
    // The connections of before are given up.
    server.open(1).await;
}

#[tokio::test]
async fn a_half_written_file_leaves_the_old_one_in_use() {
    let (old, new) = (root("old"), root("new"));
    let folder = Folder::new();
    folder.write("ca.crt", old.pem());
    let server = Server::tls(&issue(&old, "localhost")).await;
    let client = client(&server, "localhost", strict().certificate_files(folder.files()));
    ask(&client).await.unwrap();

    let whole = new.pem();
    for half in ["", "nothing", &whole[..whole.len() / 2]] {
        folder.write("ca.crt", half);
        ask(&client).await.unwrap();
        assert_eq!(client.tls().ca_chain(), old.pem().as_bytes());
    }
    std::fs::remove_file(folder.path("ca.crt")).unwrap();
    ask(&client).await.unwrap();
    assert_eq!(server.connections().len(), 1, "what was in use stays in use");

    server.rotate(&issue(&new, "localhost"), None);
    folder.write("ca.crt", whole);
    ask(&client).await.unwrap();
    assert_eq!(server.connections().len(), 2);
    assert_eq!(client.tls().ca_chain(), new.pem().as_bytes());
}

#[tokio::test]
async fn a_certificate_counts_when_its_key_is_there() {
    let authority = root("one");
    let (old, new) = (issue(&authority, "old"), issue(&authority, "new"));
    let folder = Folder::new();
    folder.write("ca.crt", authority.pem());
    folder.write_client(&old);
    let server = Server::tls(&issue(&authority, "localhost")).await;
    server.rotate(&issue(&authority, "localhost"), Some(&authority));
    let client = client(&server, "localhost", strict().certificate_files(folder.client_files()));
    ask(&client).await.unwrap();

    folder.write("client.crt", new.pem());
    ask(&client).await.unwrap();
    assert_eq!(client.tls().client_certificate(), Some(old.pem().as_bytes()));
    folder.write("client.key", new.key_pem().expose());
    ask(&client).await.unwrap();
    assert_eq!(client.tls().client_certificate(), Some(new.pem().as_bytes()));
    let shown: Vec<_> = server.connections().into_iter().map(|connection| connection.shown).collect();
    assert_eq!(shown, [&old, &new].map(|issued| Some(issued.certificate.der().clone())));
}

#[tokio::test]
async fn files_that_cannot_be_used_at_first_are_used_later() {
    let authority = root("one");
    let own = issue(&authority, "runner");
    let folder = Folder::new();
    let server = Server::tls(&issue(&authority, "localhost")).await;
    let client = client(&server, "localhost", strict().certificate_files(folder.client_files()));
    assert!(ask(&client).await.unwrap_err().is_certificate(), "a missing file is ignored");
    folder.write("ca.crt", "nothing");
    assert!(ask(&client).await.unwrap_err().is_certificate(), "and so is a useless one");

    // The files do not depend on one another.
    folder.write_client(&own);
    assert!(ask(&client).await.unwrap_err().is_certificate());
    folder.write("ca.crt", authority.pem());
    ask(&client).await.unwrap();
    assert_eq!(client.tls().client_certificate(), Some(own.pem().as_bytes()));
}

#[test]
fn the_strict_look_names_the_file() {
    let authority = root("one");
    let (own, other) = (issue(&authority, "runner"), issue(&authority, "other"));
    let folder = Folder::new();
    let told = || {
        let error = folder.client_files().check().unwrap_err();
        assert!(error.is_configuration(), "{error}");
        error.to_string().replace(folder.0.path().to_str().unwrap(), "…")
    };
    assert_eq!(told(), "the CA file …/ca.crt cannot be read");
    folder.write("ca.crt", "nothing");
    assert_eq!(told(), "the CA file …/ca.crt cannot be used");
    folder.write("ca.crt", authority.pem());
    assert_eq!(told(), "the certificate file …/client.crt cannot be read");
    folder.write("client.crt", own.pem());
    assert_eq!(told(), "the key file …/client.key cannot be read");
    folder.write("client.key", other.key_pem().expose());
    assert_eq!(told(), "the client certificate …/client.crt cannot be used with the key …/client.key");
    folder.write_client(&own);
    folder.client_files().check().unwrap();
}
