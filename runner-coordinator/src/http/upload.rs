//! Uploads of artifacts, streamed to files.

use std::io;
use std::path::Path;

use axum::body::Body;
use futures_util::StreamExt;
use http::request::Parts;
use http::{StatusCode, header};
use tempfile::TempPath;
use tokio::io::AsyncWriteExt;

use super::handle::Handle;
use crate::core::{Admission, Answer, Content, Payload, Upload};

/// Largest `dotenv` report that is handed to the core for reading.
const DOTENV_LIMIT: u64 = 1024 * 1024;

/// Takes an upload: asks the core, stores the body below `folder`, tells the core.
pub(super) async fn upload(handle: &Handle, folder: &Path, parts: &Parts, body: Body) -> Answer {
    let admission = match handle.with(|coordinator, now| coordinator.admit_upload(parts, now)) {
        Ok(admission) => admission,
        Err(refusal) => {
            // A client that is still sending would see a broken connection instead of the answer.
            drain(body).await;
            return *refusal;
        }
    };
    let (upload, file) = match store(folder, &admission, parts, body).await {
        Ok(Some((upload, file))) => (Some(upload), Some(file)),
        Ok(None) => (None, None),
        Err(StoreError::Body(error)) => {
            tracing::debug!(job = %admission.job(), %error, "an upload did not arrive whole");
            return plain(StatusCode::BAD_REQUEST);
        }
        Err(StoreError::File(error)) => {
            tracing::error!(job = %admission.job(), %error, "cannot store an artifact");
            return plain(StatusCode::INTERNAL_SERVER_ERROR);
        }
    };
    let stored = handle.with(|coordinator, now| {
        let stored = coordinator.finish_upload(admission, upload, now);
        if stored.kept
            && let Some(file) = file
            && let Err(error) = file.keep()
        {
            tracing::error!(%error, "cannot keep a stored artifact");
        }
        stored
    });
    stored.answer
}

enum StoreError {
    Body(multer::Error),
    File(io::Error),
}

impl From<multer::Error> for StoreError {
    fn from(error: multer::Error) -> Self {
        Self::Body(error)
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}

/// Writes the part named `file` to a new file, which is deleted again unless it is kept. The rest of the body is read
/// and dropped; so is what exceeds the limit, of which only the size is of interest then.
async fn store(
    folder: &Path,
    admission: &Admission,
    parts: &Parts,
    body: Body,
) -> Result<Option<(Upload, TempPath)>, StoreError> {
    let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = match multer::parse_boundary(content_type.unwrap_or_default()) {
        Ok(boundary) => boundary,
        Err(error) => {
            drain(body).await;
            return Err(error.into());
        }
    };
    let mut multipart = multer::Multipart::new(body.into_data_stream(), boundary);
    let mut found = None;
    while let Some(mut field) = multipart.next_field().await? {
        if found.is_some() || field.name() != Some("file") {
            continue;
        }
        let filename = field.file_name().unwrap_or_default().to_owned();
        let prefix = format!("{}-{}-", admission.job(), admission.artifact_type());
        let suffix = match admission.artifact_format() {
            "zip" | "zipzstd" => ".zip",
            "gzip" => ".gz",
            "tarzstd" => ".tar.zst",
            _ => "",
        };
        let (file, path) =
            tempfile::Builder::new().prefix(&prefix).suffix(suffix).tempfile_in(folder)?.into_parts();
        let mut file = tokio::io::BufWriter::with_capacity(256 * 1024, tokio::fs::File::from_std(file));
        let mut checksum = crc32fast::Hasher::new();
        let mut size = 0_u64;
        while let Some(chunk) = field.chunk().await? {
            size += chunk.len() as u64;
            if admission.limit().is_none_or(|limit| size <= limit) {
                checksum.update(&chunk);
                file.write_all(&chunk).await?;
            }
        }
        file.flush().await?;
        drop(file);
        let is_dotenv = admission.artifact_type() == "dotenv" && size <= DOTENV_LIMIT;
        let dotenv = if is_dotenv { Some(tokio::fs::read(&path).await?.into()) } else { None };
        let content = Content::File(path.to_path_buf());
        found = Some((Upload { filename, size, crc32: checksum.finalize(), content, dotenv }, path));
    }
    Ok(found)
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
