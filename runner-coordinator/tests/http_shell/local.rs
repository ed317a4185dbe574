//! The coordinator in this process: streams, faults and simulated time without a socket.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, Response};
use runner_coordinator::core::{Coordinator, JobId, JobState, NewJob, NewRunner, Options};
use runner_coordinator::http::{ArtifactStore, Body, Handle, Local, Lost};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::time::Instant;

struct Site {
    local: Local,
    handle: Handle,
    token: String,
}

impl Site {
    fn start(store: ArtifactStore) -> Self {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let local = Local::starting_at(start, Coordinator::new(Options::default()), store);
        let handle = local.handle();
        let token = handle.create_runner(NewRunner::default()).token.expose_secret().to_owned();
        Self { local, handle, token }
    }

    async fn take(&self) -> (JobId, String) {
        let job = self.handle.enqueue(NewJob::new(json!({})));
        let answer = self.request(json!({})).await.unwrap();
        let payload: Value = serde_json::from_slice(&whole(answer).await.unwrap()).unwrap();
        (job, payload["token"].as_str().unwrap().to_owned())
    }

    async fn request(&self, mut body: Value) -> Result<Response<Body>, Lost> {
        body["token"] = json!(self.token);
        self.local.send(Request::post("/api/v4/jobs/request").body(body.to_string()).unwrap()).await
    }

    async fn patch(
        &self,
        job: JobId,
        token: &str,
        at: usize,
        piece: &'static str,
    ) -> Result<Response<Body>, Lost> {
        let request = Request::patch(format!("/api/v4/jobs/{job}/trace"))
            .header("JOB-TOKEN", token)
            .header("Content-Range", format!("{at}-{}", at + piece.len() - 1))
            .body(piece)
            .unwrap();
        self.local.send(request).await
    }

    /// Uploads a body of pieces that are made when they are asked for.
    async fn upload(
        &self,
        job: JobId,
        token: &str,
        pieces: usize,
        piece: Bytes,
    ) -> Result<Response<Body>, Lost> {
        let head = "--xxx\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.zip\"\r\n\r\n";
        let pieces = stream::repeat(piece).take(pieces);
        let body = stream::iter([Bytes::from(head)])
            .chain(pieces)
            .chain(stream::iter([Bytes::from("\r\n--xxx--\r\n")]))
            .map(Ok::<_, std::convert::Infallible>);
        let request = Request::post(format!("/api/v4/jobs/{job}/artifacts"))
            .header("JOB-TOKEN", token)
            .header("Content-Type", "multipart/form-data; boundary=xxx")
            .body(Body::from_stream(body))
            .unwrap();
        self.local.send(request).await
    }

    async fn download(&self, job: JobId, token: &str) -> Response<Body> {
        let path = format!("/api/v4/jobs/{job}/artifacts");
        let request = Request::get(path).header("JOB-TOKEN", token).body(Body::empty()).unwrap();
        self.local.send(request).await.unwrap()
    }
}

async fn whole(response: Response<Body>) -> Result<Bytes, String> {
    let mut stream = response.into_body().into_data_stream();
    let mut all = Vec::new();
    while let Some(chunk) = stream.next().await {
        all.extend_from_slice(&chunk.map_err(|error| error.to_string())?);
    }
    Ok(all.into())
}

#[tokio::test(start_paused = true)]
async fn hours_pass_at_once() {
    let site = Site::start(ArtifactStore::Memory);
    let (job, token) = site.take().await;
    let began = Instant::now();
    // Nobody speaks of the job; the server ends it by itself.
    assert_eq!(site.handle.finished(job).await, Some(JobState::Failed));
    assert_eq!(began.elapsed().as_secs(), 3600);
    assert_eq!(site.patch(job, &token, 0, "late").await.unwrap().status(), 403);
}

#[tokio::test(start_paused = true)]
async fn delays_before_and_after() {
    let site = Site::start(ArtifactStore::Memory);
    let (job, token) = site.take().await;
    site.handle.add_fault("patch_trace:1:delay-before=10s,delay=5s".parse().unwrap());
    let began = Instant::now();
    let mut events = site.handle.events();
    let (answer, appended) = tokio::join!(site.patch(job, &token, 0, "abc"), async {
        events.recv().await.unwrap();
        began.elapsed().as_secs()
    });
    assert_eq!((answer.unwrap().status().as_u16(), appended, began.elapsed().as_secs()), (202, 10, 15));
}

#[tokio::test(start_paused = true)]
async fn what_stalls_never_ends_by_itself() {
    for (rule, stored) in [("stall", 0), ("stall=after", 3), ("unread", 0)] {
        let site = Site::start(ArtifactStore::Memory);
        let (job, token) = site.take().await;
        site.handle.add_fault(format!("patch_trace:1:{rule}").parse().unwrap());
        let patch = site.patch(job, &token, 0, "abc");
        assert!(tokio::time::timeout(Duration::from_secs(1800), patch).await.is_err(), "{rule}");
        assert_eq!(site.handle.read_trace(job, 0).len(), stored, "{rule}");
        let again = site.patch(job, &token, stored, "abc").await.unwrap();
        assert_eq!(again.status(), 202, "{rule}: only the first call stalls");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_left_unread_is_not_polled() {
    let site = Site::start(ArtifactStore::Memory);
    let (job, token) = site.take().await;
    site.handle.add_fault("upload_artifact:1:unread".parse().unwrap());
    let polled = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = polled.clone();
    let body = Body::from_stream(stream::poll_fn(move |_| {
        seen.store(true, std::sync::atomic::Ordering::Relaxed);
        std::task::Poll::Ready(None::<Result<Bytes, std::convert::Infallible>>)
    }));
    let request = Request::post(format!("/api/v4/jobs/{job}/artifacts"))
        .header("JOB-TOKEN", &token)
        .header("Content-Type", "multipart/form-data; boundary=xxx")
        .body(body)
        .unwrap();
    assert!(tokio::time::timeout(Duration::from_secs(60), site.local.send(request)).await.is_err());
    assert!(!polled.load(std::sync::atomic::Ordering::Relaxed));
    assert_eq!(site.upload(job, &token, 1, "zip".into()).await.unwrap().status(), 201);
}

#[tokio::test(start_paused = true)]
async fn a_download_stalls_in_its_middle() {
    let site = Site::start(ArtifactStore::Memory);
    let (job, token) = site.take().await;
    site.upload(job, &token, 10, Bytes::from("0123456789")).await.unwrap();
    site.handle.add_fault("download_artifact:1:stall=42".parse().unwrap());
    let answer = site.download(job, &token).await;
    assert_eq!(answer.headers()["content-length"], "100");
    let mut body = answer.into_body().into_data_stream();
    let piece = body.next().await.unwrap().unwrap();
    assert_eq!(piece.len(), 42);
    assert!(tokio::time::timeout(Duration::from_secs(3000), body.next()).await.is_err());
    // It ends when the coordinator does.
    site.local.close();
    assert!(body.next().await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn nothing_listens_for_a_while() {
    let site = Site::start(ArtifactStore::Memory);
    let answer = site.request(json!({})).await.unwrap();
    let cursor = answer.headers()["x-gitlab-last-update"].to_str().unwrap().to_owned();
    site.handle.add_fault("*:@10s-18s:down".parse().unwrap());
    let began = Instant::now();
    assert_eq!(site.request(json!({ "last_update": cursor })).await.unwrap_err(), Lost::Refused);
    assert_eq!(began.elapsed().as_secs(), 10, "a held request is lost");
    assert_eq!(site.request(json!({})).await.unwrap_err(), Lost::Refused);
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(site.request(json!({})).await.unwrap().status(), 204);
}

#[tokio::test]
async fn artifacts_stream_to_and_from_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(ArtifactStore::Folder(folder.path().to_owned()));
    let (job, token) = site.take().await;
    let piece = Bytes::from(vec![7; 1024 * 1024]);
    assert_eq!(site.upload(job, &token, 64, piece).await.unwrap().status(), 201);
    let path = site.handle.artifact(job, "archive").unwrap();
    assert_eq!(std::fs::metadata(path).unwrap().len(), 64 * 1024 * 1024);
    let mut body = site.download(job, &token).await.into_body().into_data_stream();
    let (mut length, mut largest) = (0, 0);
    while let Some(piece) = body.next().await {
        let piece = piece.unwrap();
        length += piece.len();
        largest = largest.max(piece.len());
    }
    assert_eq!(length, 64 * 1024 * 1024);
    assert!(largest <= 64 * 1024, "pieces of {largest} bytes");
}

#[tokio::test]
async fn artifacts_in_memory() {
    let site = Site::start(ArtifactStore::Memory);
    let (job, token) = site.take().await;
    site.upload(job, &token, 3, "abc".into()).await.unwrap();
    assert_eq!(site.handle.read_artifact(job, "archive").await.unwrap().unwrap(), "abcabcabc");
    assert_eq!(site.handle.read_artifact(job, "junit").await.unwrap(), None);
    assert_eq!(site.handle.artifact(job, "archive"), None, "there is no file");
    assert_eq!(whole(site.download(job, &token).await).await.unwrap(), "abcabcabc");
    site.handle.add_fault("download_artifact:1:truncate=4".parse().unwrap());
    assert!(whole(site.download(job, &token).await).await.is_err());
}

#[tokio::test]
async fn an_upload_that_is_under_way_when_the_server_goes_down() {
    let site = Site::start(ArtifactStore::Memory);
    let (job, token) = site.take().await;
    let handle = site.handle.clone();
    let head = "--xxx\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.zip\"\r\n\r\n";
    let pieces = stream::iter([head, "content", "\r\n--xxx--\r\n"]).map(move |piece| {
        handle.set_down(piece == "content" || handle.with(|coordinator, _| coordinator.is_down()));
        Ok::<_, std::convert::Infallible>(Bytes::from(piece))
    });
    let request = Request::post(format!("/api/v4/jobs/{job}/artifacts"))
        .header("JOB-TOKEN", &token)
        .header("Content-Type", "multipart/form-data; boundary=xxx")
        .body(Body::from_stream(pieces))
        .unwrap();
    assert_eq!(site.local.send(request).await.unwrap_err(), Lost::Reset);
    site.handle.set_down(false);
    assert_eq!(site.upload(job, &token, 1, "content".into()).await.unwrap().status(), 201);
}
