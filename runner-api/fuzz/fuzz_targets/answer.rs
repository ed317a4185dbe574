//! Whatever a server answers to the client's calls. The input is a status line, header lines, an empty line, a body.
#![no_main]

use std::hash::{DefaultHasher, Hash, Hasher};

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
    // No input can contain its own hash: a token that is shown did not come with the answer.
    let mut hasher = DefaultHasher::new();
    data.hash(&mut hasher);
    runtime.block_on(calls(answer, &format!("{:016x}", hasher.finish())));
    Corpus::Keep
});

async fn calls(answer: Always, secret: &str) {
    let client = ClientBuilder::new("https://gitlab.example.com")
        .and_then(|builder| builder.transport(answer).retry(RetryPolicy::off()).build())
        .expect("a client");
    let credentials = RunnerCredentials::new(RunnerToken::new(format!("glrt-{secret}")));
    if let Err(error) = client.request_job(&JobRequest::new(credentials.clone())).await {
        is_sound(&error, secret);
    }
    if let Err(error) = client.verify(&credentials).await {
        is_sound(&error, secret);
    }
    let job = client.job(1, JobToken::new(format!("glcbt-{secret}")));
    for error in [
        job.update(&JobUpdate::success()).await.error,
        job.patch_trace(0, Bytes::from_static(b"log\n"), false).await.error,
        job.download_artifact(DownloadOptions::default(), &mut Vec::new()).await.err(),
        job.upload_artifact(&runner_api::ArtifactUpload::new("a.zip"), "content").await.err(),
    ]
    .iter()
    .flatten()
    {
        is_sound(error, secret);
    }
}

fn is_sound(error: &Error, secret: &str) {
    let message = error.server_message().unwrap_or_default();
    assert!(message.chars().count() <= 1001 && !message.contains(char::is_control), "{message:?}");
    let (shown, debugged) = (error.to_string(), format!("{error:?}"));
    assert!(!shown.contains(secret), "{shown}");
    assert!(!debugged.contains(secret), "{debugged}");
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
