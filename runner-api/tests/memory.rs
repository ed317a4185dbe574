//! Memory does not grow with what is moved: peak resident memory of this process, the server included, while a large artifact
//! comes down in every way and goes up. In a process of its own, because others would be measured, too.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is the report")]

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use runner_api::transport::{Body, BodySource, BodyStream};
use runner_api::{
    ArtifactUpload, ClientBuilder, DownloadOptions, DownloadTarget, JobClient, JobToken, RangeOptions,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// What moving an artifact of any size may cost.
const BUDGET: u64 = 16 << 20;

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// The largest resident memory of this process so far, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Redirects to itself under another name, where it gives ranges of `size` zeros; swallows uploads.
async fn serve(size: u64) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(connection(stream, size, address.port()));
        }
    });
    address
}

async fn connection(mut stream: TcpStream, size: u64, port: u16) -> io::Result<()> {
    let mut read = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut read).await? == 0 {
                return Ok(());
            }
        };
        let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let mut left: u64 = header("content-length:").map_or(0, |length| length.parse().unwrap());
        left -= (read.len() - end) as u64;
        while left > 0 {
            read.clear();
            left -= (&mut stream).take(left.min(64 * 1024)).read_buf(&mut read).await? as u64;
        }
        let range = header("range:").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
        let (answer, content) = if head.starts_with("post ") {
            ("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n".to_owned(), 0)
        } else if head.contains("direct_download=true") {
            let location = format!("http://localhost:{port}/storage");
            (format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"), 0)
        } else if let Some((first, last)) = range {
            let (first, last): (u64, u64) = (first.parse().unwrap(), last.parse().unwrap());
            let length = last + 1 - first;
            let told = format!("content-range: bytes {first}-{last}/{size}\r\ncontent-length: {length}");
            (format!("HTTP/1.1 206 Partial Content\r\n{told}\r\n\r\n"), length)
        } else {
            (format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n"), size)
        };
        read.clear();
        stream.write_all(answer.as_bytes()).await?;
        tokio::io::copy(&mut Zeros.take(content), &mut stream).await?;
    }
}

struct Zeros;

impl AsyncRead for Zeros {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = buffer.remaining().min(ZEROS.len());
        buffer.put_slice(&ZEROS[..count]);
        Poll::Ready(Ok(()))
    }
}

/// Counts.
#[derive(Default)]
struct Count(u64);

#[async_trait::async_trait]
impl DownloadTarget for Count {
    async fn reset(&mut self) -> io::Result<()> {
        self.0 = 0;
        Ok(())
    }

    async fn write(&mut self, piece: Bytes) -> io::Result<()> {
        self.0 += piece.len() as u64;
        Ok(())
    }

    fn can_write_at(&self) -> bool {
        true
    }

    async fn write_at(&mut self, _offset: u64, piece: Bytes) -> io::Result<()> {
        // Slower than the network: what waits must have a bound.
        tokio::task::yield_now().await;
        DownloadTarget::write(self, piece).await
    }
}

impl AsyncWrite for Count {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0 += bytes.len() as u64;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

struct Content(u64);

impl BodySource for Content {
    fn open(&self) -> BodyStream {
        let piece = Bytes::from_static(&ZEROS);
        let count = self.0 / ZEROS.len() as u64;
        Box::pin(futures_util::stream::iter((0..count).map(move |_| Ok(piece.clone()))))
    }

    fn length(&self) -> Option<u64> {
        Some(self.0)
    }
}

async fn move_all(job: &JobClient, size: u64) {
    let mut options = DownloadOptions::default();
    let mut target = Count::default();
    job.download_artifact(options, &mut target).await.unwrap();
    assert_eq!(target.0, size);
    job.download_artifact_to(options, &mut Count::default()).await.unwrap();
    options.direct = true;
    options.ranges = Some(RangeOptions::default());
    let downloaded = job.download_artifact(options, &mut target).await.unwrap();
    assert_eq!((target.0, downloaded.parts), (size, size.div_ceil(16 << 20)));
    job.upload_artifact(&ArtifactUpload::new("a.zip"), Body::source(Arc::new(Content(size)))).await.unwrap();
}

async fn stays_within_budget(size: u64) {
    let job = |address: SocketAddr| {
        let client = ClientBuilder::new(&format!("http://{address}")).unwrap().build().unwrap();
        client.job(42, JobToken::new("t"))
    };
    // Code, threads and connections are there before.
    move_all(&job(serve(20 << 20).await), 20 << 20).await;
    let before = peak();
    move_all(&job(serve(size).await), size).await;
    let more = peak() - before;
    assert!(more <= BUDGET, "{more} bytes more for {size}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_flat() {
    stays_within_budget(128 << 20).await;
}
