//! From the core's [`Answer`] to axum's response, faults included.

use std::io;
use std::task::Poll;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::{Stream, StreamExt, TryStreamExt};
use http::{HeaderValue, StatusCode, header};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::connection::Breaker;
use crate::core::{Answer, Cut, Payload};

const FILE_BUFFER: usize = 64 * 1024;

/// Turns an answer into a response, after its delay.
pub(super) async fn respond(answer: Answer, breaker: &Breaker) -> Response {
    if !answer.delay.is_zero() {
        tokio::time::sleep(answer.delay).await;
    }
    let (mut parts, payload) = answer.response.into_parts();
    let cut = match answer.cut {
        Some(Cut::NoAnswer) => {
            breaker.pull();
            return Response::new(Body::empty());
        }
        Some(Cut::Body(after)) => Some(after),
        None => None,
    };
    let length = payload.len();
    // The announced length is that of the whole body, also when the connection breaks before its end.
    if length > 0 || cut.is_some() {
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    let body = match (payload, cut) {
        (Payload::Bytes(bytes), None) => Body::from(bytes),
        (Payload::Bytes(bytes), Some(after)) => {
            Body::from_stream(cut_after(futures_util::stream::once(async { Ok(bytes) }), after, length))
        }
        (Payload::File { path, range }, cut) => match open(&path, range.start).await {
            Ok(file) => {
                let stream = ReaderStream::with_capacity(file.take(length), FILE_BUFFER);
                match cut {
                    None => Body::from_stream(stream),
                    Some(after) => Body::from_stream(cut_after(stream, after, length)),
                }
            }
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "cannot read a stored artifact");
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                return response;
            }
        },
    };
    Response::from_parts(parts, body)
}

async fn open(path: &std::path::Path, offset: u64) -> io::Result<tokio::fs::File> {
    let mut file = tokio::fs::File::open(path).await?;
    if offset > 0 {
        file.seek(io::SeekFrom::Start(offset)).await?;
    }
    Ok(file)
}

/// The first `after` bytes of a body, then an error that makes hyper close the connection. A body that is no longer
/// than that loses its last byte.
fn cut_after(
    body: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    after: u64,
    length: u64,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let mut left = after.min(length.saturating_sub(1));
    let kept = body.try_take_while(move |_| std::future::ready(Ok(left > 0))).map_ok(move |mut bytes| {
        let part = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        left = left.saturating_sub(bytes.len() as u64);
        bytes.truncate(part);
        bytes
    });
    kept.chain(flushed_error())
}

/// Fails at the second look: hyper sends what it has when a body is not ready.
fn flushed_error() -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let mut looked = false;
    futures_util::stream::poll_fn(move |cx| {
        if std::mem::replace(&mut looked, true) {
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}
