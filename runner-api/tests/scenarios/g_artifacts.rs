//! G. Artifacts, one call at a time. How often a helper repeats the calls is the helper's.

use runner_api::payload::ArtifactFormat;
use runner_api::{Acceptance, ArtifactUpload, DownloadOptions, JobToken};
use runner_coordinator::core::{Endpoint, JobId, Options};
use serde_json::json as value;

use crate::gitlab::GitLab;
use crate::script::{Script, json, status, with};

fn archive() -> ArtifactUpload {
    let mut upload = ArtifactUpload::new("artifacts.zip");
    upload.format = Some(ArtifactFormat::Zip);
    upload.artifact_type = "archive".into();
    upload
}

#[tokio::test(start_paused = true)]
async fn scenario_81_each_try_of_an_upload_is_five_requests_or_one() {
    for (code, requests, may_pass) in
        [(503, 5, true), (500, 5, true), (400, 1, false), (413, 1, false), (403, 1, false)]
    {
        let gitlab = GitLab::new(Options::default());
        let job = gitlab.run().await;
        gitlab.fault(&format!("upload_artifact:*:{code}"));
        let error = job.upload_artifact(&archive(), "content").await.unwrap_err();
        assert_eq!(error.status().unwrap().as_u16(), code);
        assert_eq!((gitlab.count(Endpoint::UploadArtifact), error.is_retryable()), (requests, may_pass));
        assert_eq!((error.is_too_large(), error.is_forbidden()), (code == 413, code == 403));
    }
    // A later success is one.
    let gitlab = GitLab::new(Options::default());
    let job = gitlab.run().await;
    gitlab.fault("upload_artifact:1-4:503");
    job.upload_artifact(&archive(), "content").await.unwrap();
    gitlab.with(|core, _| {
        let artifact = core.job(JobId(job.id())).unwrap().artifact("archive").unwrap();
        assert_eq!((artifact.size, artifact.filename.as_str()), (7, "artifacts.zip"));
    });
}

#[tokio::test(start_paused = true)]
async fn scenario_85_a_dependency_is_fetched_by_its_own_id_and_token() {
    let gitlab = GitLab::new(Options::default());
    let earlier = gitlab.run().await;
    earlier.upload_artifact(&archive(), "content").await.unwrap();
    let dependency = |id: u64, token: &str, name: &str| value!({"id": id, "token": token, "name": "d", "artifacts_file": {"filename": name, "size": 7}});
    let token = earlier.token().expose();
    let (job, at_gitlab) = gitlab
        .assign(
            value!({"dependencies": [dependency(9000, "x", ""), dependency(earlier.id(), token, "a.zip")]}),
        )
        .await;
    assert!(matches!(at_gitlab.accept().await, Acceptance::Accepted));
    let mut fetched = Vec::new();
    for dependency in job.dependencies.iter().filter(|dependency| dependency.has_artifacts()) {
        let token = dependency.token.clone().unwrap_or_else(|| JobToken::new(""));
        let of = gitlab.client().job(dependency.id, token);
        of.download_artifact(DownloadOptions::default(), &mut fetched).await.unwrap();
    }
    assert_eq!(fetched, b"content");
    gitlab.with(|core, _| {
        let downloads: Vec<_> = core
            .requests()
            .iter()
            .filter(|request| request.endpoint == Some(Endpoint::DownloadArtifact))
            .map(|request| (request.uri.path().to_owned(), request.headers["job-token"].to_str().unwrap()))
            .collect();
        assert_eq!(downloads, [(format!("/api/v4/jobs/{}/artifacts", earlier.id()), token)]);
    });
}

#[tokio::test(start_paused = true)]
async fn scenario_87_a_download_that_is_refused_is_not_repeated() {
    for code in [401, 403, 404] {
        let script = Script::new([status(code)]);
        let job = script.client().job(42, JobToken::new("t"));
        let mut target = b"old".to_vec();
        let error = job.download_artifact(DownloadOptions::default(), &mut target).await.unwrap_err();
        let refusals = (error.is_unauthorized(), error.is_forbidden(), error.is_not_found());
        assert_eq!(refusals, (code == 401, code == 403, code == 404));
        assert!(!error.is_retryable() && error.tries() == 1);
    }
    // What the server, or its object storage, says about it is told.
    let storage = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>";
    for (reply, message) in [
        (
            json(403, r#"{"message": "403 Forbidden - Job is not processing"}"#),
            "403 Forbidden - Job is not processing",
        ),
        (with(403, &[("content-type", "text/xml")], storage), "AccessDenied: Request has expired"),
    ] {
        let script = Script::new([reply]);
        let job = script.client().job(42, JobToken::new("t"));
        let error = job.download_artifact(DownloadOptions::default(), &mut Vec::new()).await.unwrap_err();
        assert_eq!(error.server_message(), Some(message));
    }
}
