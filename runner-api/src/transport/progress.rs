//! A request body that tells when it last moved, so that "no answer" can be told apart from "still uploading".

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::{Body, BodyError};

/// When the exchange last moved.
#[derive(Debug, Clone)]
pub(super) struct Progress(Arc<Mutex<Instant>>);

impl Progress {
    pub(super) fn begin() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    /// Waits until nothing has moved for `limit`.
    pub(super) async fn stalled(&self, limit: Duration) {
        loop {
            let deadline = self.last() + limit;
            if Instant::now() >= deadline {
                return;
            }
            tokio::time::sleep_until(deadline).await;
        }
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

/// A body as the HTTP library wants it (`Sync`), reporting to a [`Progress`]. The lock is never contended: the body
/// is only reached through `&mut`.
pub(super) struct TrackedBody {
    body: Mutex<Body>,
    progress: Progress,
}

impl TrackedBody {
    pub(super) fn new(body: Body, progress: Progress) -> Self {
        Self { body: Mutex::new(body), progress }
    }
}

impl http_body::Body for TrackedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let body = this.body.get_mut().unwrap_or_else(PoisonError::into_inner);
        let polled = http_body::Body::poll_frame(Pin::new(body), cx);
        if polled.is_ready() {
            this.progress.touch();
        }
        polled.map_err(|source| Box::new(RequestBodyError(source)) as BodyError)
    }

    fn is_end_stream(&self) -> bool {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}

/// Marks an error that came out of the request's own body, to be found again in the HTTP library's error chain.
#[derive(Debug, thiserror::Error)]
#[error("the request body could not be read")]
pub(super) struct RequestBodyError(#[source] BodyError);
