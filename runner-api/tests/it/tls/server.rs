//! A server that speaks TLS, or plain TCP, and HTTP/1.1 with connections that stay open.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
#[cfg(all(feature = "tls-aws-lc-rs", not(feature = "tls-ring")))]
use tokio_rustls::rustls::crypto::aws_lc_rs as crypto;
#[cfg(feature = "tls-ring")]
use tokio_rustls::rustls::crypto::ring as crypto;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{HandshakeKind, RootCertStore, ServerConfig, SupportedProtocolVersion, version};

use super::authority::{Authority, Issued};

/// "There is no job."
pub(super) const NO_JOB: &str = "HTTP/1.1 204 No Content\r\n\r\n";

/// One connection that began with success.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    /// The certificate that the client showed.
    pub(super) shown: Option<CertificateDer<'static>>,
    /// Whether it continued an earlier one.
    pub(super) resumed: bool,
}

/// Answers every request alike until it is dropped.
pub(super) struct Server {
    address: SocketAddr,
    tls: Arc<Mutex<Option<Arc<ServerConfig>>>>,
    connections: Arc<Mutex<Vec<Connection>>>,
    open: watch::Receiver<usize>,
    serving: JoinHandle<()>,
}

impl Server {
    /// A server with this certificate.
    pub(super) async fn tls(issued: &Issued) -> Self {
        Self::start(Some(config(issued, None, &version::TLS13)), NO_JOB).await
    }

    /// A server that wants certificates of `clients`.
    pub(super) async fn mutual(
        issued: &Issued,
        clients: &Authority,
        version: &'static SupportedProtocolVersion,
    ) -> Self {
        Self::start(Some(config(issued, Some(clients), version)), NO_JOB).await
    }

    /// A server without TLS.
    pub(super) async fn plain(answer: &'static str) -> Self {
        Self::start(None, answer).await
    }

    async fn start(tls: Option<ServerConfig>, answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tls = Arc::new(Mutex::new(tls.map(Arc::new)));
        let connections = Arc::<Mutex<Vec<Connection>>>::default();
        let (count, open) = watch::channel(0);
        let (current, begun) = (Arc::clone(&tls), Arc::clone(&connections));
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (tls, begun) = (current.lock().unwrap().clone(), Arc::clone(&begun));
                let count = count.clone();
                tokio::spawn(async move {
                    count.send_modify(|open| *open += 1);
                    serve(stream, tls, &begun, answer).await;
                    count.send_modify(|open| *open -= 1);
                });
            }
        });
        Self { address, tls, connections, open, serving }
    }

    /// Uses another certificate for connections from now on.
    pub(super) fn rotate(&self, issued: &Issued, clients: Option<&Authority>) {
        *self.tls.lock().unwrap() = Some(Arc::new(config(issued, clients, &version::TLS13)));
    }

    pub(super) fn url(&self, host: &str) -> String {
        let scheme = if self.tls.lock().unwrap().is_some() { "https" } else { "http" };
        format!("{scheme}://{host}:{}", self.address.port())
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn connections(&self) -> Vec<Connection> {
        self.connections.lock().unwrap().clone()
    }

    /// Waits until so many connections are open.
    pub(super) async fn open(&self, count: usize) {
        self.open.clone().wait_for(|open| *open == count).await.unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn config(
    issued: &Issued,
    clients: Option<&Authority>,
    version: &'static SupportedProtocolVersion,
) -> ServerConfig {
    let provider = Arc::new(crypto::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_protocol_versions(&[version]).unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    builder.with_single_cert(issued.chain(), issued.key()).unwrap()
}

async fn serve(
    stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    begun: &Mutex<Vec<Connection>>,
    answer: &str,
) {
    let Some(tls) = tls else {
        begun.lock().unwrap().push(Connection { shown: None, resumed: false });
        return requests(stream, answer).await;
    };
    match TlsAcceptor::from(tls).accept(stream).into_fallible().await {
        Ok(stream) => {
            let (_, session) = stream.get_ref();
            let shown = session.peer_certificates().and_then(|chain| chain.first()).cloned();
            let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
            begun.lock().unwrap().push(Connection { shown, resumed });
            requests(stream, answer).await;
        }
        // The client must be able to read why: a close with unread bytes would reset the connection.
        Err((_, mut stream)) => {
            let _ = stream.shutdown().await;
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        }
    }
}

/// Answers requests until the client hangs up.
async fn requests(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &str) {
    let mut read = Vec::new();
    loop {
        while let Some(end) = request_end(&read) {
            read.drain(..end);
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await {
            Ok(count) if count > 0 => read.extend_from_slice(&buffer[..count]),
            _ => return,
        }
    }
}

/// Where the first request ends, when it is complete.
fn request_end(read: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(read).to_ascii_lowercase();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let length = length.unwrap_or(0);
    (body.len() >= length).then_some(head.len() + 4 + length)
}
