//! Whatever a server answers to the client's calls. The input is a status line, header lines, an empty line, a body.
#![no_main]

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use libfuzzer_sys::{Corpus, fuzz_target};
use runner_api::retry::RetryPolicy;
use runner_api::transport::{Body, Transport, TransportError};
use runner_api::{
    ClientBuilder, DownloadOptions, Error, JobRequest, JobToken, JobUpdate, RunnerCredentials, RunnerToken,
};

fuzz_target!(|data: &[u8]| -> Corpus {
    let Some(answer) = Always::parse(data) else { return Corpus::Reject };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(calls(answer));
    Corpus::Keep
});

async fn calls(answer: Always) {
    let client = ClientBuilder::new("https://gitlab.example.com")
        .and_then(|builder| builder.transport(answer).retry(RetryPolicy::off()).build())
        .expect("a client");
    let credentials = RunnerCredentials::new(RunnerToken::new("glrt-token"));
    if let Err(error) = client.request_job(&JobRequest::new(credentials.clone())).await {
        is_sound(&error);
    }
    if let Err(error) = client.verify(&credentials).await {
        is_sound(&error);
    }
    let job = client.job(1, JobToken::new("glcbt-token"));
    for error in [
        job.update(&JobUpdate::success()).await.error,
        job.patch_trace(0, Bytes::from_static(b"log\n"), false).await.error,
        job.download_artifact(DownloadOptions::default(), &mut Vec::new()).await.err(),
        job.upload_artifact(&runner_api::ArtifactUpload::new("a.zip"), "content").await.err(),
    ]
    .iter()
    .flatten()
    {
        is_sound(error);
    }
}

fn is_sound(error: &Error) {
    let (shown, debugged) = (error.to_string(), format!("{error:?}"));
    assert!(!shown.contains("glrt-token") && !shown.contains("glcbt-token"), "{shown}");
    assert!(!debugged.contains("glrt-token") && !debugged.contains("glcbt-token"), "{debugged}");
}

/// The same answer to every request.
#[derive(Debug)]
struct Always {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Always {
    fn parse(data: &[u8]) -> Option<Self> {
        let end = data.windows(2).position(|two| two == b"\n\n")?;
        let (head, body) = data.split_at(end);
        let mut lines = head.split(|byte| *byte == b'\n');
        let status = StatusCode::from_bytes(lines.next()?).ok()?;
        let header = |line: &[u8]| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let value = line.get(colon + 1..)?.trim_ascii();
            Some((HeaderName::from_bytes(line.get(..colon)?).ok()?, HeaderValue::from_bytes(value).ok()?))
        };
        let headers = lines.map(header).collect::<Option<_>>()?;
        Some(Self { status, headers, body: Bytes::copy_from_slice(body.get(2..)?) })
    }
}

#[async_trait]
impl Transport for Always {
    async fn send(&self, _request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let mut answer = Response::new(Body::from(self.body.clone()));
        *answer.status_mut() = self.status;
        answer.headers_mut().extend(self.headers.iter().cloned());
        Ok(answer)
    }
}
