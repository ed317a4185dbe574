//! Uploading artifacts.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderValue, Method, StatusCode, header};

use super::JobClient;
use super::exchange::Call;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::payload::ArtifactFormat;
use crate::transport::{Body, BodySource, BodyStream};

/// What is uploaded, and what the server shall do with it.
///
/// ```
/// use runner_api::ArtifactUpload;
/// use runner_api::payload::ArtifactFormat;
///
/// let mut upload = ArtifactUpload::new("artifacts.zip");
/// upload.format = Some(ArtifactFormat::Zip);
/// upload.artifact_type = "archive".to_owned();
/// upload.expire_in = "1 week".to_owned();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArtifactUpload {
    /// The file's name with extension, without folders.
    pub file_name: String,
    /// How it is packed.
    pub format: Option<ArtifactFormat>,
    /// What it is: `archive`, `junit`, … Empty leaves it to the server.
    pub artifact_type: String,
    /// How long the server keeps it, in the server's words. Empty leaves it to the server.
    pub expire_in: String,
}

impl ArtifactUpload {
    /// An upload with defaults.
    ///
    /// ```
    /// let upload = runner_api::ArtifactUpload::new("artifacts.zip");
    /// assert_eq!(upload.format, None);
    /// ```
    pub fn new(file_name: impl Into<String>) -> Self {
        Self {
            file_name: file_name.into(),
            format: None,
            artifact_type: String::new(),
            expire_in: String::new(),
        }
    }
}

/// A finished upload.
///
/// ```no_run
/// # async fn example(job: runner_api::JobClient) -> Result<(), runner_api::Error> {
/// let uploaded = job.upload_artifact(&runner_api::ArtifactUpload::new("a.zip"), "…").await?;
/// println!("request {}", uploaded.request_id);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Uploaded {
    /// The id under which the server's logs know the upload.
    pub request_id: String,
}

impl JobClient {
    /// Uploads `body` as an artifact of the job. It is streamed; a body that is a
    /// [source](crate::transport::Body::source) is opened again for each try and each redirect, while a plain stream
    /// is sent once.
    ///
    /// Source: GitLab's Runner API, `POST /api/v4/jobs/:id/artifacts`.
    ///
    /// ```no_run
    /// # async fn example(job: runner_api::JobClient) {
    /// match job.upload_artifact(&runner_api::ArtifactUpload::new("a.zip"), "…").await {
    ///     Ok(_) => println!("uploaded"),
    ///     Err(error) if error.is_too_large() || error.is_forbidden() => println!("never: {error}"),
    ///     Err(error) => println!("perhaps later: {error}"),
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Any status but 201. [`Error::is_forbidden`] and [`Error::is_too_large`] are final.
    pub async fn upload_artifact(
        &self,
        upload: &ArtifactUpload,
        body: impl Into<Body>,
    ) -> Result<Uploaded, Error> {
        let format = upload.format.as_ref().map_or("", ArtifactFormat::as_str);
        let query: Vec<_> = [
            ("expire_in", upload.expire_in.as_str()),
            ("artifact_format", format),
            ("artifact_type", upload.artifact_type.as_str()),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect();
        let path = ["jobs", &self.id.to_string(), "artifacts"];
        let url = self.client.shared.base.endpoint(&path, &query);

        let boundary = format!("runner-{}", (self.client.shared.request_id)());
        let content_type = HeaderValue::from_str(&format!("multipart/form-data; boundary={boundary}"))
            .map_err(|source| Error::configuration_from("the boundary is not a header value", source))?;
        let mut call = Call::new(Endpoint::UploadArtifact, Method::POST, url)
            .token("job-token", self.token.expose())?
            .header(header::CONTENT_TYPE, content_type);
        call.body = one_file_form(&boundary, &upload.file_name, body.into());

        let answer = self.client.exchange(call).await?;
        if answer.status != StatusCode::CREATED {
            return Err(answer.into_error().await);
        }
        let request_id = answer.request_id.clone();
        answer.drain().await;
        Ok(Uploaded { request_id })
    }
}

/// A form with the single part `file`.
fn one_file_form(boundary: &str, file_name: &str, body: Body) -> Body {
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n",
        quoted(file_name)
    );
    let tail = format!("\r\n--{boundary}--\r\n");
    let framing = u64::try_from(head.len() + tail.len()).ok();
    let length = body.length().zip(framing).and_then(|(body, framing)| body.checked_add(framing));
    let (head, tail) = (Bytes::from(head), Bytes::from(tail));
    match body.into_source() {
        Ok(source) => Body::source(Arc::new(Form { head, source, tail, length })),
        Err(stream) => Body::stream(framed(head, Box::pin(stream), tail), length),
    }
}

/// A form whose content can be produced again.
struct Form {
    head: Bytes,
    source: Arc<dyn BodySource>,
    tail: Bytes,
    length: Option<u64>,
}

impl BodySource for Form {
    fn open(&self) -> BodyStream {
        framed(self.head.clone(), self.source.open(), self.tail.clone())
    }

    fn length(&self) -> Option<u64> {
        self.length
    }
}

fn framed(head: Bytes, content: BodyStream, tail: Bytes) -> BodyStream {
    let piece = |bytes| stream::iter([Ok(bytes)]);
    Box::pin(piece(head).chain(content).chain(piece(tail)))
}

/// Within quotes of a header, as browsers write it.
fn quoted(name: &str) -> String {
    name.replace('\\', "\\\\").replace('"', "\\\"").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_form_is_framed_and_has_a_length() {
        let body = one_file_form("b", "a\"\n.zip", Body::from("content"));
        let length = body.length().unwrap();
        let again = body.try_clone().unwrap();
        let expected = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\\\"%0A.zip\"\r\n\
                        Content-Type: application/octet-stream\r\n\r\ncontent\r\n--b--\r\n";
        assert_eq!(body.collect(1024).await.unwrap(), expected);
        assert_eq!(again.collect(1024).await.unwrap(), expected);
        assert_eq!(length, expected.len() as u64);
    }

    #[tokio::test]
    async fn a_stream_stays_a_stream() {
        let content = Body::stream(stream::iter([Ok(Bytes::from_static(b"x"))]), None);
        let body = one_file_form("b", "a", content);
        assert!(body.length().is_none() && body.try_clone().is_none());
        assert!(body.collect(1024).await.unwrap().ends_with(b"\r\n\r\nx\r\n--b--\r\n"));
    }
}
