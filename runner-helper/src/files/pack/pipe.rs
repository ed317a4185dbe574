//! From a writer on a thread of its own to the stream of a body.

use std::io::{self, Write};

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use runner_api::transport::{BodyError, BodyStream};
use tokio::sync::mpsc;

/// Large enough to make the exchange between threads cheap.
const PIECE: usize = 128 * 1024;

/// How many pieces may wait: packing runs ahead of sending by at most half a megabyte.
const WAITING: usize = 4;

type Piece = Result<Bytes, BodyError>;

/// Runs `produce` on a blocking thread when the stream is made; what it writes are the pieces. An error ends the stream
/// as an error; a stream that is dropped makes the next write fail.
pub(super) fn stream(produce: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static) -> BodyStream {
    let (pieces, waiting) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let mut pipe = Pipe { pieces, buffer: BytesMut::with_capacity(PIECE) };
        let result = produce(&mut pipe).and_then(|()| pipe.flush());
        if let Err(error) = result {
            // When nobody listens any more there is nobody to tell.
            let _ = pipe.pieces.blocking_send(Err(error.into()));
        }
    });
    Box::pin(stream::unfold(waiting, |mut waiting: mpsc::Receiver<Piece>| async move {
        waiting.recv().await.map(|piece| (piece, waiting))
    }))
}

struct Pipe {
    pieces: mpsc::Sender<Piece>,
    buffer: BytesMut,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PIECE.saturating_sub(self.buffer.len()).min(bytes.len());
        let (taken, _) = bytes.split_at(room);
        self.buffer.extend_from_slice(taken);
        if self.buffer.len() >= PIECE {
            self.flush()?;
        }
        Ok(room)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = self.buffer.split().freeze();
        self.buffer.reserve(PIECE);
        self.pieces.blocking_send(Ok(piece)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    #[tokio::test]
    async fn everything_arrives_in_order() {
        let content: Vec<u8> = (0..1_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        let sent = content.clone();
        let mut stream = stream(move |to| {
            for chunk in sent.chunks(777) {
                to.write_all(chunk)?;
            }
            Ok(())
        });
        let mut received = Vec::new();
        while let Some(piece) = stream.next().await {
            received.extend_from_slice(&piece.unwrap());
        }
        assert_eq!(received, content);
    }

    #[tokio::test]
    async fn an_error_is_the_end() {
        let mut stream = stream(|to| {
            to.write_all(b"half")?;
            Err(io::Error::other("gone"))
        });
        assert_eq!(stream.next().await.unwrap().unwrap_err().to_string(), "gone");
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn a_dropped_stream_ends_the_writer() {
        let (ended, end) = tokio::sync::oneshot::channel();
        let stream = stream(move |to| {
            let result = std::iter::repeat_with(|| to.write_all(&[0; PIECE])).find(Result::is_err);
            let _ = ended.send(result.and_then(Result::err).map(|error| error.kind()));
            Ok(())
        });
        drop(stream);
        assert_eq!(end.await.unwrap(), Some(io::ErrorKind::BrokenPipe));
    }
}
