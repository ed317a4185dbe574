//! Receiving an artifact as one stream.

use http::{StatusCode, header};

use super::{DownloadTarget, Downloaded};
use crate::client::answer::Answer;
use crate::error::Error;
use crate::transport::{TransportError, TransportErrorKind};

/// Stores the whole artifact, or nothing of it.
pub(super) async fn whole(answer: Answer, target: &mut dyn DownloadTarget) -> Result<Downloaded, Error> {
    if answer.status != StatusCode::OK {
        return Err(answer.into_error().await);
    }
    let content_type = content_type(&answer);
    let request_id = answer.request_id.clone();
    let context = answer.context.clone();
    target.reset().await.map_err(|source| Error::target(context, source))?;
    match copy(answer, target).await {
        Ok(bytes) => Ok(Downloaded { bytes, parts: 1, content_type, request_id }),
        Err(error) => {
            // The first error tells more than a second one would.
            let _ = target.reset().await;
            Err(error)
        }
    }
}

async fn copy(mut answer: Answer, target: &mut dyn DownloadTarget) -> Result<u64, Error> {
    let announced = announced_length(&answer);
    let mut bytes = 0_u64;
    while let Some(piece) = answer.chunk().await? {
        bytes = bytes.saturating_add(length(&piece));
        target.write(piece).await.map_err(|source| Error::target(answer.context.clone(), source))?;
    }
    ended(&answer, bytes, announced)?;
    target.finish().await.map_err(|source| Error::target(answer.context.clone(), source))?;
    Ok(bytes)
}

/// Whether everything has come that was announced.
pub(super) fn ended(answer: &Answer, bytes: u64, announced: Option<u64>) -> Result<(), Error> {
    match announced {
        Some(announced) if announced != bytes => {
            let message = format!("{bytes} of {announced} bytes arrived");
            let source = TransportError::new(TransportErrorKind::ResponseBody, message);
            Err(Error::from_transport(answer.context.clone(), source))
        }
        _ => Ok(()),
    }
}

pub(super) fn announced_length(answer: &Answer) -> Option<u64> {
    answer.header(header::CONTENT_LENGTH.as_str())?.parse().ok()
}

pub(super) fn content_type(answer: &Answer) -> Option<String> {
    answer.header(header::CONTENT_TYPE.as_str()).map(str::to_owned)
}

pub(super) fn length(piece: &[u8]) -> u64 {
    u64::try_from(piece.len()).unwrap_or(u64::MAX)
}
