//! From the core's [`Answer`] to a response with a streaming body, faults included.

use std::io;
use std::task::Poll;

use axum::body::{Body, Bytes};
use futures_util::future::Either;
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderValue, Response, StatusCode, header};
use tokio::sync::watch;
use tokio_util::io::ReaderStream;

use super::local::{Lost, closed};
use super::store;
use crate::core::{Answer, Cut, Payload};

const FILE_BUFFER: usize = 64 * 1024;

/// Turns an answer into a response, after its delay. What stalls goes on when the server closes, and is lost then.
pub(super) async fn respond(answer: Answer, closing: &watch::Receiver<bool>) -> Result<Response<Body>, Lost> {
    if !answer.delay.is_zero() {
        tokio::time::sleep(answer.delay).await;
    }
    let (mut parts, payload) = answer.response.into_parts();
    let length = payload.len();
    // A body that is no longer than what is sent of it loses its last byte.
    let short = |after: u64| after.min(length.saturating_sub(1));
    let (sent, end) = match answer.cut {
        Some(Cut::Refused) => return Err(Lost::Refused),
        Some(Cut::NoAnswer) => return Err(Lost::Reset),
        Some(Cut::Body(_)) if length == 0 => return Err(Lost::Reset),
        Some(Cut::Stall) => return Err(stall(closing).await),
        Some(Cut::StallBody(_)) if length == 0 => return Err(stall(closing).await),
        Some(Cut::Body(after)) => (short(after), End::BreakOff),
        Some(Cut::StallBody(after)) => (short(after), End::Stall(closing.clone())),
        None => (length, End::Good),
    };
    // The announced length is that of the whole body, also when less of it arrives.
    if length > 0 {
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    let body = match payload {
        Payload::Bytes(mut bytes) => {
            bytes.truncate(usize::try_from(sent).unwrap_or(usize::MAX));
            match end {
                End::Good => Body::from(bytes),
                end => Body::from_stream(stream::once(async { Ok(bytes) }).chain(end.stream())),
            }
        }
        Payload::File { path, range } => match store::open(&path, range.start, sent).await {
            Ok(file) => Body::from_stream(ReaderStream::with_capacity(file, FILE_BUFFER).chain(end.stream())),
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "cannot read a stored artifact");
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                return Ok(response);
            }
        },
    };
    Ok(Response::from_parts(parts, body))
}

async fn stall(closing: &watch::Receiver<bool>) -> Lost {
    closed(closing.clone()).await;
    Lost::Reset
}

/// How a body ends.
enum End {
    Good,
    BreakOff,
    Stall(watch::Receiver<bool>),
}

impl End {
    fn stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        match self {
            Self::Good => Either::Left(stream::empty()),
            Self::BreakOff => Either::Right(Either::Left(break_off())),
            Self::Stall(closing) => Either::Right(Either::Right(stream::once(async move {
                closed(closing).await;
                Err(io::ErrorKind::ConnectionReset.into())
            }))),
        }
    }
}

/// An error that makes hyper close the connection. It comes at the second look only: hyper sends what it has when a
/// body is not ready.
fn break_off() -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let mut looked = false;
    stream::poll_fn(move |cx| {
        if std::mem::replace(&mut looked, true) {
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}
