//! The artifact: bytes that are generated, never held, and that no compression shortens.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use runner_api::DownloadTarget;
use runner_api::transport::{BodySource, BodyStream};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWrite;

const PIECE: u64 = 64 * 1024;

/// So many bytes, the same ones each time.
#[derive(Clone, Copy)]
pub struct Content {
    pub size: u64,
    /// Whether the request tells the length, or is sent in chunks.
    pub tells_length: bool,
}

impl Content {
    pub fn digest(self) -> String {
        let mut digest = Sha256::new();
        for piece in self.pieces() {
            digest.update(&piece);
        }
        hex(&digest.finalize())
    }

    fn pieces(self) -> impl Iterator<Item = Bytes> + Send {
        (0..self.size.div_ceil(PIECE)).map(move |index| piece(index, PIECE.min(self.size - index * PIECE)))
    }
}

impl BodySource for Content {
    fn open(&self) -> BodyStream {
        Box::pin(stream::iter(self.pieces().map(Ok)))
    }

    fn length(&self) -> Option<u64> {
        self.tells_length.then_some(self.size)
    }
}

/// Xorshift, begun anew for each piece.
fn piece(index: u64, length: u64) -> Bytes {
    let mut state = (index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut bytes = Vec::with_capacity(PIECE as usize + 8);
    while (bytes.len() as u64) < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length as usize);
    bytes.into()
}

/// Takes a download and keeps its digest only.
#[derive(Default)]
pub struct Digesting {
    digest: Sha256,
}

impl Digesting {
    pub fn finish(self) -> String {
        hex(&self.digest.finalize())
    }
}

#[async_trait]
impl DownloadTarget for Digesting {
    async fn reset(&mut self) -> io::Result<()> {
        self.digest = Sha256::new();
        Ok(())
    }

    async fn write(&mut self, piece: Bytes) -> io::Result<()> {
        self.digest.update(&piece);
        Ok(())
    }
}

impl AsyncWrite for Digesting {
    fn poll_write(mut self: Pin<&mut Self>, _cx: &mut Context<'_>, piece: &[u8]) -> Poll<io::Result<usize>> {
        self.digest.update(piece);
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
