//! `include:remote`: files at addresses.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use runner_api::transport::{Body, HttpTransport, ProxySettings, Transport};
use sha2::{Digest, Sha256};

/// Longest time until a file is there.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest file.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// How often an address may point to another one.
const MAX_REDIRECTS: usize = 5;

/// Fetches files once and keeps them.
#[derive(Debug)]
pub(super) struct Addresses {
    folder: Option<PathBuf>,
    offline: bool,
    refresh: bool,
    proxy: ProxySettings,
}

impl Addresses {
    pub(super) fn new(folder: Option<PathBuf>, offline: bool, refresh: bool, proxy: ProxySettings) -> Self {
        Self { folder, offline, refresh, proxy }
    }

    /// The file at an address, and what is to be said about it.
    pub(super) fn get(&self, url: &str) -> io::Result<(String, Option<String>)> {
        let kept = self.folder.as_ref().map(|folder| folder.join("remote").join(digest(url)));
        if let Some(path) = kept.as_ref().filter(|path| path.exists() && (self.offline || !self.refresh)) {
            let note = format!(
                "include:remote {url}: as it was when it was fetched first; --refresh-includes fetches it again"
            );
            return Ok((std::fs::read_to_string(path)?, Some(note)));
        }
        if self.offline {
            return Err(io::Error::other("not fetched before, and --offline forbids it"));
        }
        let text = fetch(url, &self.proxy)?;
        if let Some(path) = kept {
            keep(&path, &text)?;
        }
        Ok((text, None))
    }
}

/// A name for what is kept of an address or ref.
pub(super) fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Written beside and renamed: another run may read it at the same time.
fn keep(path: &std::path::Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    crate::exec::state::make(folder)?;
    let file = tempfile::NamedTempFile::new_in(folder)?;
    std::fs::write(file.path(), text)?;
    file.persist(path).map(drop).map_err(io::Error::other)
}

/// Fetches on a thread of its own: the caller may be part of a runtime, and has nothing else to do.
fn fetch(url: &str, proxy: &ProxySettings) -> io::Result<String> {
    let work = || -> io::Result<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            tokio::time::timeout(PATIENCE, download(url, proxy))
                .await
                .unwrap_or_else(|_| Err(io::Error::other("no answer within 10 s")))
        })
    };
    std::thread::scope(|scope| scope.spawn(work).join())
        .unwrap_or_else(|_| Err(io::Error::other("the download ended unexpectedly")))
}

async fn download(url: &str, proxy: &ProxySettings) -> io::Result<String> {
    let transport = HttpTransport::builder().proxy(proxy.clone()).build().map_err(io::Error::other)?;
    let mut at = url::Url::parse(url).map_err(io::Error::other)?;
    for _ in 0..=MAX_REDIRECTS {
        let request = http::Request::get(at.as_str()).body(Body::empty()).map_err(io::Error::other)?;
        let answer = transport.send(request).await.map_err(|error| in_full(&error))?;
        let status = answer.status();
        if status.is_redirection() {
            let next = answer.headers().get(http::header::LOCATION).and_then(|value| value.to_str().ok());
            let next = next.and_then(|next| at.join(next).ok());
            let next = next.ok_or_else(|| io::Error::other(format!("{status} without an address")))?;
            if at.scheme() == "https" && next.scheme() != "https" {
                return Err(io::Error::other("the address leads from https to http"));
            }
            at = next;
            continue;
        }
        if status != http::StatusCode::OK {
            return Err(io::Error::other(format!("the server answered {status}")));
        }
        let bytes = answer.into_body().collect(MAX_BYTES).await.map_err(|error| in_full(&error))?;
        return String::from_utf8(bytes.to_vec())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8 text"));
    }
    Err(io::Error::other(format!("more than {MAX_REDIRECTS} redirects")))
}

/// An error with its causes in one line.
fn in_full(error: &runner_api::transport::TransportError) -> io::Error {
    io::Error::other(crate::error::in_one_line(error))
}
