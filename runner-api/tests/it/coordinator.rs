//! The life of a runner and its jobs against GitLab's side of the Runner API, over HTTP.

use runner_api::retry::RetryPolicy;
use runner_api::{
    ArtifactUpload, Client, ClientBuilder, DownloadOptions, FailureReason, Job, JobAnswer, JobClient,
    JobRequest, JobToken, JobUpdate, PatchResult, RangeOptions, RegisterRequest, RunnerCredentials,
    RunnerInfo, TraceOutput, UpdateResult,
};
use runner_coordinator::core::{Coordinator, Endpoint, JobId, JobState, NewJob, NewRunner, Options};
use runner_coordinator::http::{Handle, Server, ServerOptions};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

/// A server with one runner, and a client of it.
struct Site {
    server: Server,
    handle: Handle,
    client: Client,
    request: JobRequest,
    _folder: tempfile::TempDir,
}

impl Site {
    async fn start(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = ([127, 0, 0, 1], 0).into();
        let storage = ServerOptions::new(folder.path());
        let server = Server::bind(address, Coordinator::new(options), storage).await.unwrap();
        let handle = server.handle();
        let runner = handle.create_runner(NewRunner::default());
        let credentials =
            RunnerCredentials::new(runner.token.expose_secret()).with_system_id("s_0123456789ab");
        let mut info = RunnerInfo::new("gitlab-runner", "19.4.0");
        info.features.return_exit_code = true;
        let client = ClientBuilder::new(&server.url()).unwrap().info(info).build().unwrap();
        Self { server, handle, client, request: JobRequest::new(credentials), _folder: folder }
    }

    async fn take(&self, payload: Value) -> (Job, JobClient, JobId) {
        let id = self.handle.enqueue(NewJob::new(payload));
        let answer = self.client.request_job(&self.request).await.unwrap();
        let JobAnswer::Job(job) = answer else { panic!("{answer:?}") };
        assert_eq!((job.id, job.warnings()), (id.0, &[][..]));
        let client = self.client.job(job.id, job.token.clone());
        assert_eq!(client.update(&JobUpdate::running()).await.result, UpdateResult::Succeeded);
        (*job, client, id)
    }

    fn fault(&self, rule: &str) {
        self.handle.add_fault(rule.parse().unwrap());
    }

    /// The server found nothing odd in anything that was sent.
    async fn end(self) {
        self.handle.with(|coordinator, _| assert_eq!(coordinator.oddities(), []));
        self.server.shutdown().await;
    }
}

fn output(trace: &str) -> TraceOutput {
    TraceOutput::new(crc32fast::hash(trace.as_bytes()), trace.len() as u64)
}

#[tokio::test]
async fn a_runner_comes_and_goes() {
    let site = Site::start(Options::default()).await;
    site.handle.register_token(SecretString::from("GR1348941register"));
    let mut request = RegisterRequest::new("GR1348941register");
    request.tag_list = vec!["a".into(), "b".into()];
    let registered = site.client.register(&request).await.unwrap();
    assert!(registered.id > 0);
    let credentials = RunnerCredentials::new(registered.token.clone()).with_system_id("s_abcdefabcdef");
    assert_eq!(site.client.verify(&credentials).await.unwrap().id, registered.id);

    let fresh = site.client.reset_token(&registered.token).await.unwrap();
    assert_ne!(fresh.token, registered.token);
    assert!(site.client.verify(&credentials).await.unwrap_err().is_forbidden());
    site.client.unregister(&fresh.token).await.unwrap();
    assert!(site.client.unregister(&fresh.token).await.unwrap_err().is_forbidden());

    let other = site.client.register(&RegisterRequest::new("wrong")).await.unwrap_err();
    assert!(other.is_forbidden(), "{other}");
    site.client.verify(&site.request.credentials).await.unwrap();
    site.client.unregister_manager(&site.request.credentials).await.unwrap();
    site.end().await;
}

#[tokio::test]
async fn a_job_from_its_request_to_its_end() {
    let site = Site::start(Options::default()).await;
    assert!(matches!(site.client.request_job(&site.request).await.unwrap(), JobAnswer::NoJob));
    assert!(site.client.last_update().is_some());

    let (job, client, id) = site.take(json!({ "job_info": { "name": "build" }, "steps": null })).await;
    assert_eq!(job.job_info.name, "build");
    assert!(job.correlation_id().is_some());
    let outcome = client.patch_trace(0, "hello\n".into(), false).await;
    assert_eq!(outcome.result, PatchResult::Accepted { end: 6 });
    assert!(outcome.update_interval.is_some());
    client.patch_trace(6, "world\n".into(), false).await;
    let alive = client.update(&JobUpdate::running().with_output(output("hello\nworld\n"))).await;
    assert_eq!(alive.result, UpdateResult::Succeeded);
    let done = JobUpdate::failed(FailureReason::ScriptFailure)
        .with_exit_code(3)
        .with_output(output("hello\nworld\n"));
    assert!(matches!(client.update(&done).await.result, UpdateResult::Succeeded | UpdateResult::Abort));

    assert_eq!(site.handle.state(id), Some(JobState::Failed));
    site.handle.job(id, |record| {
        assert!(record.final_update.as_ref().unwrap().trace_is_complete());
        assert_eq!((record.failure_reason.as_deref(), record.exit_code), (Some("script_failure"), Some(3)));
    });
    assert_eq!(client.update(&JobUpdate::running()).await.result, UpdateResult::Abort);
    site.end().await;
}

#[tokio::test]
async fn lost_bytes_and_lost_answers_are_repaired_by_offsets() {
    let site = Site::start(Options::default()).await;
    let (_, client, id) = site.take(json!({})).await;
    let client = client.with_retry(RetryPolicy::off());
    site.fault("patch_trace:1:503");
    site.fault("patch_trace:2:reset=after");

    assert_eq!(client.patch_trace(0, "abcdef".into(), false).await.result, PatchResult::Failed);
    let lost = client.patch_trace(0, "abcdef".into(), false).await;
    assert_eq!(lost.result, PatchResult::Failed);
    let error = lost.error.unwrap();
    assert!(error.is_transport(), "{error:?}");
    assert_eq!(site.handle.read_trace(id, 0), b"abcdef", "{error:?}");
    let known = client.patch_trace(0, "abcdefgh".into(), false).await.result;
    assert_eq!(known, PatchResult::RangeMismatch { server_len: 6 });
    assert_eq!(client.patch_trace(6, "gh".into(), false).await.result, PatchResult::Accepted { end: 8 });
    assert_eq!(site.handle.read_trace(id, 0), b"abcdefgh");
    site.server.shutdown().await;
}

#[tokio::test]
async fn a_cancelled_job_is_told_so() {
    let site = Site::start(Options::default()).await;
    let (_, client, id) = site.take(json!({})).await;
    site.handle.cancel(id, false);
    let outcome = client.patch_trace(0, "x".into(), false).await;
    assert_eq!((outcome.result, outcome.cancel_requested), (PatchResult::Accepted { end: 1 }, true));
    assert!(client.update(&JobUpdate::running()).await.cancel_requested);
    site.handle.cancel(id, true);
    assert_eq!(client.patch_trace(1, "y".into(), false).await.result, PatchResult::Abort);
    assert_eq!(client.update(&JobUpdate::running()).await.result, UpdateResult::Abort);
    site.end().await;
}

#[tokio::test]
async fn artifacts_go_up_and_come_down() {
    let site = Site::start(Options::default()).await;
    // Another name is another origin.
    let storage = site.server.url().replace("127.0.0.1", "localhost");
    site.handle.with(|coordinator, _| coordinator.options_mut().storage_url = Some(storage));
    let (job, client, id) = site.take(json!({})).await;
    let mut upload = ArtifactUpload::new("artifacts.zip");
    upload.format = Some("zip".into());
    upload.artifact_type = "archive".into();
    let content: Vec<u8> = (0..3_000_000_u32).map(|index| (index % 251) as u8).collect();
    client.upload_artifact(&upload, content.clone()).await.unwrap();
    assert!(site.handle.artifact(id, "archive").is_some());

    let mut options = DownloadOptions::default();
    for direct in [false, true] {
        options.direct = direct;
        let mut target = b"old".to_vec();
        let downloaded = client.download_artifact(options, &mut target).await.unwrap();
        assert_eq!((downloaded.bytes, target == content), (3_000_000, true));
    }

    // In twelve parts, each from its place; the third one breaks off once.
    let mut ranges = RangeOptions::default();
    (ranges.chunk, ranges.threshold) = (262_144, 1_000_000);
    (options.direct, options.ranges) = (true, Some(ranges));
    site.fault("storage:4:truncate=1000");
    let mut file = tokio::fs::File::from_std(tempfile::tempfile().unwrap());
    let downloaded = client.download_artifact(options, &mut file).await.unwrap();
    assert_eq!((downloaded.bytes, downloaded.parts), (3_000_000, 12));
    let mut read = Vec::new();
    file.seek(std::io::SeekFrom::Start(0)).await.unwrap();
    file.read_to_end(&mut read).await.unwrap();
    assert!(read == content);
    // The whole archive before, the probe, the parts, and the rest of one part.
    let requests = site.handle.with(|coordinator, _| coordinator.request_count(Endpoint::Storage));
    assert_eq!(requests, 1 + 1 + 12 + 1);

    // A plain writer gets the rest from where the connection broke.
    site.fault("download_artifact:1:truncate=1000000");
    (options.direct, options.ranges) = (false, None);
    let mut pipe = Vec::new();
    let downloaded = client.download_artifact_to(options, &mut pipe).await.unwrap();
    assert_eq!((downloaded.parts, pipe == content), (2, true));

    site.fault("download_artifact:1:truncate=4096");
    let mut target = Vec::new();
    let error = client.download_artifact(options, &mut target).await.unwrap_err();
    assert!(error.is_transport() && target.is_empty(), "{error:?}");

    let stranger = site.client.job(job.id, JobToken::new("glcbt-wrong"));
    let error = stranger.download_artifact(options, &mut target).await.unwrap_err();
    assert!(error.is_forbidden() || error.is_unauthorized() || error.is_not_found(), "{error}");
    site.end().await;
}

#[tokio::test]
async fn patience_is_asked_and_given() {
    let site = Site::start(Options::default()).await;
    site.fault("request_job:1:429,header=Retry-After=1");
    site.fault("request_job:2:503");
    let id = site.handle.enqueue(NewJob::new(json!({})));
    let JobAnswer::Job(job) = site.client.request_job(&site.request).await.unwrap() else { panic!("no job") };
    assert_eq!(job.id, id.0);
    site.end().await;
}
