//! Uploads of artifacts, streamed to where they are kept.

use std::collections::BTreeMap;
use std::io;

use axum::body::Body;
use futures_util::StreamExt;
use http::request::Parts;
use http::{StatusCode, header};

use super::handle::Handle;
use super::store::{self, ArtifactStore, Finished};
use crate::core::{Admission, Answer, Payload, Upload};

/// Largest `dotenv` report that is handed to the core for reading.
const DOTENV_LIMIT: u64 = 1024 * 1024;
/// Largest field of the form besides the file.
const FIELD_LIMIT: usize = 64 * 1024;

/// Takes an upload: asks the core, stores the body, tells the core.
pub(super) async fn upload(handle: &Handle, store: &ArtifactStore, parts: &Parts, body: Body) -> Answer {
    let admission = match handle.with(|coordinator, now| coordinator.admit_upload(parts, now)) {
        Ok(admission) => admission,
        Err(refusal) => {
            // A client that is still sending would see a broken connection instead of the answer.
            drain(body).await;
            return *refusal;
        }
    };
    if !admission.delay().is_zero() {
        tokio::time::sleep(admission.delay()).await;
    }
    let (upload, finished) = match receive(store, &admission, parts, body).await {
        Ok(Some((upload, finished))) => (Some(upload), Some(finished)),
        Ok(None) => (None, None),
        Err(ReceiveError::Body(error)) => {
            tracing::debug!(job = %admission.job(), %error, "an upload did not arrive whole");
            return plain(StatusCode::BAD_REQUEST);
        }
        Err(ReceiveError::Store(error)) => {
            tracing::error!(job = %admission.job(), %error, "cannot store an artifact");
            return plain(StatusCode::INTERNAL_SERVER_ERROR);
        }
    };
    let stored = handle.with(|coordinator, now| {
        let stored = coordinator.finish_upload(admission, upload, now);
        if stored.kept
            && let Some(finished) = finished
            && let Err(error) = finished.keep()
        {
            tracing::error!(%error, "cannot keep a stored artifact");
        }
        stored
    });
    stored.answer
}

enum ReceiveError {
    Body(multer::Error),
    Store(io::Error),
}

impl From<multer::Error> for ReceiveError {
    fn from(error: multer::Error) -> Self {
        Self::Body(error)
    }
}

impl From<io::Error> for ReceiveError {
    fn from(error: io::Error) -> Self {
        Self::Store(error)
    }
}

/// Stores the part named `file`, and reads the other fields. Of a file that exceeds the limit only the size is of
/// interest, and the rest is dropped.
async fn receive(
    store: &ArtifactStore,
    admission: &Admission,
    parts: &Parts,
    body: Body,
) -> Result<Option<(Upload, Finished)>, ReceiveError> {
    let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = match multer::parse_boundary(content_type.unwrap_or_default()) {
        Ok(boundary) => boundary,
        Err(error) => {
            drain(body).await;
            return Err(error.into());
        }
    };
    let mut multipart = multer::Multipart::new(body.into_data_stream(), boundary);
    let (mut found, mut form) = (None, BTreeMap::new());
    while let Some(mut field) = multipart.next_field().await? {
        let name = field.name().unwrap_or_default().to_owned();
        if name != "file" {
            let mut value = Vec::new();
            while let Some(chunk) = field.chunk().await? {
                let room = FIELD_LIMIT.saturating_sub(value.len());
                value.extend(chunk.iter().take(room));
            }
            form.insert(name, String::from_utf8_lossy(&value).into_owned());
            continue;
        }
        if found.is_some() {
            continue;
        }
        let filename = field.file_name().unwrap_or_default().to_owned();
        let mut draft = store.create(admission)?;
        let mut checksum = crc32fast::Hasher::new();
        let mut size = 0_u64;
        while let Some(chunk) = field.chunk().await? {
            size += chunk.len() as u64;
            if admission.limit().is_none_or(|limit| size <= limit) {
                checksum.update(&chunk);
                draft.write(&chunk).await?;
            }
        }
        found = Some((filename, size, checksum.finalize(), draft.finish().await?));
    }
    let Some((filename, size, crc32, finished)) = found else { return Ok(None) };
    let is_dotenv = admission.artifact_type(&form) == "dotenv" && size <= DOTENV_LIMIT;
    let dotenv = if is_dotenv { Some(store::read(&finished.content).await?) } else { None };
    Ok(Some((Upload { filename, size, crc32, content: finished.content.clone(), dotenv, form }, finished)))
}

async fn drain(body: Body) {
    let mut stream = body.into_data_stream();
    while let Some(Ok(_)) = stream.next().await {}
}

fn plain(status: StatusCode) -> Answer {
    let mut response = http::Response::new(Payload::Bytes(bytes::Bytes::new()));
    *response.status_mut() = status;
    Answer { response, delay: std::time::Duration::ZERO, cut: None }
}
