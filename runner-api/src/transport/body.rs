//! Bodies: nothing, bytes in memory, a source that can be opened again for each try, or a stream.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;

use super::{TransportError, TransportErrorKind};

/// Why a body could not be read to its end.
///
/// ```
/// use runner_api::transport::BodyError;
///
/// let error: BodyError = "the disk was removed".into();
/// assert_eq!(error.to_string(), "the disk was removed");
/// ```
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The pieces of a body, in order.
///
/// ```
/// use bytes::Bytes;
/// use runner_api::transport::BodyStream;
///
/// let pieces = [Ok(Bytes::from("hello ")), Ok(Bytes::from("world"))];
/// let stream: BodyStream = Box::pin(futures_util::stream::iter(pieces));
/// ```
pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send>>;

/// A body that can be produced from the beginning as often as needed: the way to upload something large and still be
/// able to repeat the request.
///
/// ```
/// use std::sync::{Arc, Mutex, PoisonError};
/// use bytes::Bytes;
/// use runner_api::transport::{Body, BodySource, BodyStream};
///
/// struct Zeros(u64);
///
/// impl BodySource for Zeros {
///     fn open(&self) -> BodyStream {
///         let pieces = (0..self.0).map(|_| Ok(Bytes::from_static(&[0])));
///         Box::pin(futures_util::stream::iter(pieces.collect::<Vec<_>>()))
///     }
///
///     fn length(&self) -> Option<u64> {
///         Some(self.0)
///     }
/// }
///
/// let body = Body::source(Arc::new(Zeros(3)));
/// assert_eq!(body.length(), Some(3));
/// assert!(body.try_clone().is_some());
/// ```
pub trait BodySource: Send + Sync {
    /// Begins from the first byte. An error while opening is the stream's first item.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use futures_util::StreamExt;
    /// use runner_api::transport::BodySource;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let source = Bytes::from("again and again");
    /// for _ in 0..2 {
    ///     assert_eq!(source.open().next().await.transpose().unwrap(), Some(source.clone()));
    /// }
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn open(&self) -> BodyStream;

    /// The number of bytes that [`open`](Self::open) will give, when it is known. The request then has a length
    /// instead of being sent in chunks.
    ///
    /// ```
    /// use runner_api::transport::BodySource;
    ///
    /// assert_eq!(bytes::Bytes::from("archive").length(), Some(7));
    /// ```
    fn length(&self) -> Option<u64> {
        None
    }
}

impl BodySource for Bytes {
    fn open(&self) -> BodyStream {
        Box::pin(futures_util::stream::iter([Ok(self.clone())]))
    }

    fn length(&self) -> Option<u64> {
        u64::try_from(self.len()).ok()
    }
}

/// The body of a request or an answer.
///
/// ```
/// use runner_api::transport::Body;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let body = Body::from("hello");
/// assert_eq!(body.length(), Some(5));
/// assert_eq!(body.collect(1024).await?, "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct Body(Inner);

#[derive(Default)]
enum Inner {
    #[default]
    Empty,
    Bytes(Bytes),
    Source(Arc<dyn BodySource>),
    Stream {
        /// The lock is never taken: the stream is only reached through `&mut`. It makes a body `Sync`, so that futures
        /// which hold one by reference can be spawned.
        stream: Mutex<BodyStream>,
        /// Bytes still to come.
        left: Option<u64>,
    },
}

impl Body {
    /// No bytes.
    ///
    /// ```
    /// assert_eq!(runner_api::transport::Body::empty().length(), Some(0));
    /// ```
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// A body that is opened when it is first read and can be repeated.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use runner_api::transport::Body;
    ///
    /// let body = Body::source(Arc::new(bytes::Bytes::from("archive")));
    /// assert!(body.try_clone().is_some());
    /// ```
    #[must_use]
    pub fn source(source: Arc<dyn BodySource>) -> Self {
        Self(Inner::Source(source))
    }

    /// A body that can be read once. `length` is the exact number of bytes, when it is known.
    ///
    /// ```
    /// use runner_api::transport::Body;
    ///
    /// let body = Body::stream(futures_util::stream::iter([Ok("once".into())]), Some(4));
    /// assert_eq!(body.length(), Some(4));
    /// assert!(body.try_clone().is_none());
    /// ```
    pub fn stream<S>(stream: S, length: Option<u64>) -> Self
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Send + 'static,
    {
        Self(Inner::Stream { stream: Mutex::new(Box::pin(stream)), left: length })
    }

    /// The number of bytes still to come, when it is known.
    ///
    /// ```
    /// assert_eq!(runner_api::transport::Body::from("hello").length(), Some(5));
    /// ```
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        match &self.0 {
            Inner::Empty => Some(0),
            Inner::Bytes(bytes) => u64::try_from(bytes.len()).ok(),
            Inner::Source(source) => source.length(),
            Inner::Stream { left, .. } => *left,
        }
    }

    /// The same body again, from its beginning; `None` for a stream or a source that was begun.
    ///
    /// ```
    /// use runner_api::transport::Body;
    ///
    /// let again = Body::from("hello").try_clone();
    /// assert_eq!(again.and_then(|body| body.length()), Some(5));
    /// ```
    #[must_use]
    pub fn try_clone(&self) -> Option<Self> {
        match &self.0 {
            Inner::Empty => Some(Self(Inner::Empty)),
            Inner::Bytes(bytes) => Some(Self(Inner::Bytes(bytes.clone()))),
            Inner::Source(source) => Some(Self(Inner::Source(Arc::clone(source)))),
            Inner::Stream { .. } => None,
        }
    }

    /// What can be opened again, or the body itself when it can be read only once.
    pub(crate) fn into_source(self) -> Result<Arc<dyn BodySource>, Self> {
        match self.0 {
            Inner::Empty => Ok(Arc::new(Bytes::new())),
            Inner::Bytes(bytes) => Ok(Arc::new(bytes)),
            Inner::Source(source) => Ok(source),
            stream @ Inner::Stream { .. } => Err(Self(stream)),
        }
    }

    /// The next piece, or `None` at the end. Cancel-safe: no piece is lost.
    ///
    /// ```
    /// use runner_api::transport::Body;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let mut body = Body::from("hello");
    /// while let Some(piece) = body.chunk().await? {
    ///     assert_eq!(piece, "hello");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The error of the stream behind the body; reading must end then.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, TransportError> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await.transpose().map_err(|error| {
            match error.downcast::<TransportError>() {
                Ok(error) => *error,
                Err(error) => TransportError::new(TransportErrorKind::ResponseBody, error),
            }
        })
    }

    /// Everything in one piece.
    ///
    /// ```
    /// use runner_api::transport::Body;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// assert_eq!(Body::from("hello").collect(5).await?, "hello");
    /// assert!(Body::from("hello").collect(4).await.is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When reading fails, or when there are more than `limit` bytes.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes, TransportError> {
        let mut all = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if chunk.len() > limit.saturating_sub(all.len()) {
                let message = format!("the body has more than {limit} bytes");
                return Err(TransportError::new(TransportErrorKind::ResponseBody, message));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }
}

impl Stream for Body {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match &mut self.0 {
                Inner::Empty => return Poll::Ready(None),
                Inner::Bytes(bytes) => {
                    let bytes = std::mem::take(bytes);
                    self.0 = Inner::Empty;
                    if !bytes.is_empty() {
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                }
                Inner::Source(source) => {
                    self.0 = Inner::Stream { stream: Mutex::new(source.open()), left: source.length() };
                }
                Inner::Stream { stream, left } => {
                    let stream = stream.get_mut().unwrap_or_else(PoisonError::into_inner);
                    let item = std::task::ready!(stream.as_mut().poll_next(cx));
                    if let (Some(left), Some(Ok(chunk))) = (left.as_mut(), &item) {
                        *left = left.saturating_sub(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
                    }
                    if item.is_none() {
                        self.0 = Inner::Empty;
                    }
                    return Poll::Ready(item);
                }
            }
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BodyError>>> {
        self.poll_next(cx).map(|item| item.map(|chunk| chunk.map(http_body::Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, Inner::Empty)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.length().map_or_else(http_body::SizeHint::new, http_body::SizeHint::with_exact)
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(Inner::Bytes(bytes))
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::from(Bytes::from(bytes))
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::from(Bytes::from_static(text.as_bytes()))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Bodies carry tokens: only their size is shown.
        f.debug_struct("Body").field("length", &self.length()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Twice;

    impl BodySource for Twice {
        fn open(&self) -> BodyStream {
            Box::pin(futures_util::stream::iter([
                Ok(Bytes::from_static(b"ab")),
                Ok(Bytes::new()),
                Ok(Bytes::from_static(b"c")),
            ]))
        }

        fn length(&self) -> Option<u64> {
            Some(3)
        }
    }

    #[tokio::test]
    async fn a_source_is_read_again_from_its_beginning() {
        let body = Body::source(Arc::new(Twice));
        let mut again = body.try_clone().unwrap();
        assert_eq!(body.collect(3).await.unwrap(), "abc");

        assert_eq!(again.chunk().await.unwrap().unwrap(), "ab");
        assert_eq!(again.length(), Some(1));
        assert!(again.try_clone().is_none(), "what was begun cannot be repeated");
        assert_eq!(again.collect(3).await.unwrap(), "c");
    }

    #[tokio::test]
    async fn a_limit_ends_the_reading() {
        let error = Body::source(Arc::new(Twice)).collect(2).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::ResponseBody);
    }

    #[tokio::test]
    async fn debug_shows_no_content() {
        assert_eq!(format!("{:?}", Body::from("token")), "Body { length: Some(5), .. }");
    }
}
