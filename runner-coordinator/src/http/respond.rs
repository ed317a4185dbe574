//! From the core's [`Answer`] to axum's response, faults included.

use std::io;
use std::task::Poll;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::{Stream, StreamExt};
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
    if length > 0 {
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    // A body that is no longer than what is sent of it loses its last byte.
    let sent = cut.map_or(length, |after| after.min(length.saturating_sub(1)));
    if length == 0 && cut.is_some() {
        breaker.pull();
    }
    let body = match payload {
        Payload::Bytes(mut bytes) => {
            bytes.truncate(usize::try_from(sent).unwrap_or(usize::MAX));
            if cut.is_none() {
                Body::from(bytes)
            } else {
                Body::from_stream(futures_util::stream::once(async { Ok(bytes) }).chain(break_off()))
            }
        }
        Payload::File { path, range } => match open(&path, range.start).await {
            Ok(file) => {
                let stream = ReaderStream::with_capacity(file.take(sent), FILE_BUFFER);
                if cut.is_none() {
                    Body::from_stream(stream)
                } else {
                    Body::from_stream(stream.chain(break_off()))
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

/// An error that makes hyper close the connection. It comes at the second look only: hyper sends what it has when a
/// body is not ready.
fn break_off() -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let mut looked = false;
    futures_util::stream::poll_fn(move |cx| {
        if std::mem::replace(&mut looked, true) {
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}
