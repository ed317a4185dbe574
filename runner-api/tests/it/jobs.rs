//! Updates, trace pieces and artifacts: what is sent and what is made of the answers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use runner_api::payload::ArtifactFormat;
use runner_api::retry::RetryPolicy;
use runner_api::transport::{Body, TransportErrorKind};
use runner_api::{
    ArtifactUpload, DownloadOptions, FailureReason, JobClient, JobStatus, JobToken, JobUpdate, PatchResult,
    TraceOutput, UpdateResult,
};
use serde_json::json as value;

use crate::script::{Reply, Script, json, status, with};

fn job(script: &Script) -> JobClient {
    script.client().job(42, JobToken::new("glcbt-secret")).with_retry(RetryPolicy::off())
}

#[tokio::test]
async fn updates_say_what_they_must_and_nothing_else() {
    let script = Script::new([status(200), status(200), status(200)]);
    let job = job(&script);
    job.update(&JobUpdate::running()).await;
    job.update(&JobUpdate::success().with_exit_code(0).with_output(TraceOutput::new(0xab, 12))).await;
    let mut failed = JobUpdate::failed(FailureReason::ScriptFailure).with_exit_code(-1);
    failed.runtime_environment_key = Some("k".into());
    job.update(&failed).await;

    let bodies: Vec<_> = script
        .asked()
        .iter()
        .map(|asked| {
            assert_eq!(
                (asked.method.as_str(), asked.url.as_str()),
                ("PUT", "https://gitlab.example.com/api/v4/jobs/42")
            );
            assert_eq!((asked.header("job-token"), asked.header("accept")), (Some("glcbt-secret"), None));
            let mut body = asked.json();
            assert_eq!(body["info"]["features"]["trace_reset"], true);
            body.as_object_mut().unwrap().remove("info");
            body
        })
        .collect();
    assert_eq!(bodies[0], value!({"token": "glcbt-secret", "state": "running", "output": {}}));
    assert_eq!(
        bodies[1],
        value!({
            "token": "glcbt-secret", "state": "success", "checksum": "crc32:000000ab",
            "output": {"checksum": "crc32:000000ab", "bytesize": 12}
        })
    );
    assert_eq!(
        bodies[2],
        value!({
            "token": "glcbt-secret", "state": "failed", "failure_reason": "script_failure", "exit_code": -1, "output": {},
            "runtime_environment_key": "k"
        })
    );
}

#[tokio::test]
async fn outcomes_of_updates() {
    use UpdateResult::*;
    for (reply, result, cancel, failed) in [
        (status(200), Succeeded, false, false),
        (with(200, &[("job-status", "running")], "200"), Succeeded, false, false),
        (with(200, &[("job-status", "canceling")], ""), Succeeded, true, false),
        (with(200, &[("job-status", "failed")], ""), Abort, false, false),
        (with(200, &[("job-status", "canceled")], ""), Abort, false, false),
        (with(500, &[("job-status", "canceled")], ""), Abort, false, true),
        (status(403), Abort, false, true),
        (with(403, &[("job-status", "success")], ""), Abort, false, true),
        (status(202), AcceptedButNotCompleted, false, false),
        (with(202, &[("job-status", "canceling")], ""), AcceptedButNotCompleted, true, false),
        (status(412), TraceValidationFailed, false, true),
        (status(404), Abort, false, true),
        (status(400), Failed, false, true),
        (status(409), Failed, false, true),
        (with(409, &[("job-status", "canceling")], ""), Failed, true, true),
        (status(429), Failed, false, true),
        (status(500), Failed, false, true),
        (status(201), Failed, false, true),
        (Reply::Fail(TransportErrorKind::Connect), Failed, false, true),
    ] {
        let script = Script::new([reply]);
        let outcome = job(&script).update(&JobUpdate::running()).await;
        assert_eq!(outcome.result, result, "{outcome:?}");
        assert_eq!((outcome.cancel_requested, outcome.error.is_some()), (cancel, failed), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_job_is_accepted_or_not() {
    for (reply, expected) in [
        (status(200), "Accepted"),
        (with(200, &[("job-status", "running")], "200"), "Accepted"),
        (with(200, &[("job-status", "canceling")], "200"), "CancelRequested"),
        (with(400, &[("job-status", "canceling")], ""), "CancelRequested"),
        (with(200, &[("job-status", "canceled")], "200"), "Gone"),
        (with(403, &[("job-status", "success")], ""), "Gone"),
        (status(404), "Gone"),
        (status(400), "Unconfirmed(Some"),
        (status(409), "Unconfirmed(Some"),
        (status(500), "Unconfirmed(Some"),
        (status(202), "Unconfirmed(None"),
        (Reply::Fail(TransportErrorKind::Other), "Unconfirmed(Some"),
    ] {
        let script = Script::new([reply]);
        let accepted = job(&script).accept().await;
        assert!(format!("{accepted:?}").starts_with(expected), "{accepted:?} is not {expected}");
        let mut body = script.one().json();
        body.as_object_mut().unwrap().remove("info");
        assert_eq!(body, value!({"token": "glcbt-secret", "state": "running", "output": {}}));
    }
    let script = Script::new([status(200)]);
    assert_eq!(job(&script).update(&JobUpdate::pending()).await.result, UpdateResult::Succeeded);
    assert_eq!(script.one().json()["state"], "pending");
}

#[tokio::test]
async fn a_trace_piece_names_its_range() {
    let script = Script::new([status(202), status(202)]);
    let job = job(&script);
    let outcome = job.patch_trace(100, Bytes::from_static(b"hello"), false).await;
    assert_eq!(outcome.result, PatchResult::Accepted { end: 105 });
    job.patch_trace(0, Bytes::from_static(&[0xff]), true).await;
    // Nothing to say: nothing is sent.
    assert_eq!(job.patch_trace(7, Bytes::new(), false).await.result, PatchResult::Accepted { end: 7 });

    let asked = script.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].method, "PATCH");
    assert_eq!(asked[0].url, "https://gitlab.example.com/api/v4/jobs/42/trace?debug_trace=false");
    assert_eq!(
        (asked[0].header("content-range"), asked[0].header("content-type")),
        (Some("100-104"), Some("text/plain"))
    );
    assert_eq!((asked[0].header("job-token"), asked[0].header("accept")), (Some("glcbt-secret"), None));
    assert_eq!(asked[0].body, "hello");
    assert_eq!((asked[1].header("content-range"), &asked[1].body[..]), (Some("0-0"), &[0xff][..]));
    assert!(asked[1].url.ends_with("?debug_trace=true"));
}

#[tokio::test]
async fn outcomes_of_trace_pieces() {
    use PatchResult::*;
    for (reply, result, cancel) in [
        (with(202, &[("range", "0-999")], ""), Accepted { end: 15 }, false),
        (with(202, &[("job-status", "canceling")], ""), Accepted { end: 15 }, true),
        (with(202, &[("job-status", "canceled")], ""), Abort, false),
        (with(202, &[("job-status", "failed")], ""), Abort, false),
        (status(403), Abort, false),
        (status(404), NotFound, false),
        (with(416, &[("range", "0-8")], ""), RangeMismatch { server_len: 8 }, false),
        (
            with(416, &[("range", "0-8"), ("job-status", "canceling")], ""),
            RangeMismatch { server_len: 8 },
            true,
        ),
        (with(416, &[("range", "8")], ""), RangeMismatch { server_len: 0 }, false),
        (status(416), RangeMismatch { server_len: 0 }, false),
        (status(200), Failed, false),
        (status(400), Failed, false),
        (status(409), Failed, false),
        (status(413), Failed, false),
        (status(429), Failed, false),
        (status(500), Failed, false),
        (Reply::Fail(TransportErrorKind::Other), Failed, false),
    ] {
        let script = Script::new([reply]);
        let outcome = job(&script).patch_trace(10, "hello".into(), false).await;
        assert_eq!((outcome.result, outcome.cancel_requested), (result, cancel), "{outcome:?}");
        assert_eq!(
            outcome.error.is_none(),
            matches!(result, Accepted { .. }) || outcome.job_status.as_ref().is_some_and(JobStatus::is_abort)
        );
    }
}

#[tokio::test]
async fn a_failed_piece_tells_when_to_come_back() {
    let script = Script::new([with(429, &[("retry-after", "9")], "")]);
    let error = job(&script).patch_trace(0, "x".into(), false).await.error.unwrap();
    assert!(error.is_rate_limited() && error.is_retryable());
    assert_eq!(error.retry_after(), Some(Duration::from_secs(9)));
}

#[tokio::test]
async fn an_upload_is_one_form_with_its_options_in_the_query() {
    let script = Script::new([with(201, &[("x-request-id", "abc")], "201"), status(201)]);
    let mut upload = ArtifactUpload::new("my \"art\".zip");
    upload.format = Some(ArtifactFormat::Zip);
    upload.artifact_type = "archive".into();
    upload.expire_in = "1 week".into();
    assert_eq!(job(&script).upload_artifact(&upload, "content").await.unwrap().request_id, "abc");
    job(&script).upload_artifact(&ArtifactUpload::new("a"), "").await.unwrap();

    let asked = script.asked();
    assert_eq!(
        asked[0].url,
        "https://gitlab.example.com/api/v4/jobs/42/artifacts?expire_in=1+week&artifact_format=zip&artifact_type=archive"
    );
    let content_type = asked[0].header("content-type").unwrap();
    let boundary = content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
    let body = String::from_utf8(asked[0].body.to_vec()).unwrap();
    assert!(body.starts_with(&format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"my \\\"art\\\".zip\"\r\n"
    )));
    assert!(body.ends_with(&format!("\r\n\r\ncontent\r\n--{boundary}--\r\n")));
    assert_eq!(asked[1].url, "https://gitlab.example.com/api/v4/jobs/42/artifacts");
}

#[tokio::test]
async fn upload_errors() {
    for (code, forbidden, large, unavailable) in [
        (403, true, false, false),
        (413, false, true, false),
        (503, false, false, true),
        (400, false, false, false),
    ] {
        let script = Script::new([status(code)]);
        let error = job(&script).upload_artifact(&ArtifactUpload::new("a"), "x").await.unwrap_err();
        assert_eq!(
            (error.is_forbidden(), error.is_too_large(), error.is_unavailable()),
            (forbidden, large, unavailable)
        );
    }
}

#[tokio::test]
async fn an_upload_is_redirected_with_its_content_and_token() {
    let script =
        Script::new([with(307, &[("location", "https://other.example.com/up?x=1")], ""), status(201)]);
    job(&script).upload_artifact(&ArtifactUpload::new("a"), "content").await.unwrap();
    let asked = script.asked();
    assert_eq!(
        (asked[1].method.as_str(), asked[1].url.as_str()),
        ("POST", "https://other.example.com/up?x=1")
    );
    assert_eq!(asked[1].header("job-token"), Some("glcbt-secret"));
    assert_eq!(asked[0].body, asked[1].body);

    // What can be read only once cannot be redirected: the caller is told.
    let script = Script::new([with(307, &[("location", "https://other.example.com/")], "")]);
    let once = Body::stream(futures_util::stream::iter([Ok(Bytes::from_static(b"x"))]), None);
    let error = job(&script).upload_artifact(&ArtifactUpload::new("a"), once).await.unwrap_err();
    assert_eq!(error.status().unwrap(), 307);
    assert!(
        error
            .to_string()
            .ends_with("it redirects to https://other.example.com/: send the content again, there")
    );
}

#[tokio::test]
async fn a_download_follows_to_storage_without_the_token() {
    let script = Script::new([
        with(302, &[("location", "https://storage.example.com/a.zip?X-Amz-Signature=s")], ""),
        with(200, &[("content-type", "application/zip")], "PK"),
    ]);
    let mut options = DownloadOptions::default();
    options.direct = true;
    let mut target = b"old".to_vec();
    let downloaded = job(&script).download_artifact(options, &mut target).await.unwrap();
    assert_eq!(
        (downloaded.bytes, downloaded.content_type.as_deref(), &target[..]),
        (2, Some("application/zip"), &b"PK"[..])
    );
    let asked = script.asked();
    assert_eq!(asked[0].url, "https://gitlab.example.com/api/v4/jobs/42/artifacts?direct_download=true");
    assert_eq!(asked[0].header("job-token"), Some("glcbt-secret"));
    assert_eq!(asked[1].url, "https://storage.example.com/a.zip?X-Amz-Signature=s");
    assert_eq!(asked[1].header("job-token"), None);

    // Within the instance the token goes along.
    let script = Script::new([with(302, &[("location", "/other")], ""), with(200, &[], "PK")]);
    job(&script).download_artifact(DownloadOptions::default(), &mut target).await.unwrap();
    let asked = script.asked();
    assert_eq!(asked[0].url, "https://gitlab.example.com/api/v4/jobs/42/artifacts");
    assert_eq!(
        (asked[1].url.as_str(), asked[1].header("job-token")),
        ("https://gitlab.example.com/other", Some("glcbt-secret"))
    );
}

#[tokio::test]
async fn a_token_that_was_left_behind_is_not_taken_up_again() {
    let script = Script::new([
        with(302, &[("location", "https://evil.example.com/")], ""),
        with(302, &[("location", "https://gitlab.example.com/back")], ""),
        with(200, &[], ""),
    ]);
    job(&script).download_artifact(DownloadOptions::default(), &mut Vec::new()).await.unwrap();
    assert_eq!(script.asked()[2].header("job-token"), None);
}

#[tokio::test]
async fn redirects_in_circles_end() {
    let script = Script::new((0..11).map(|_| with(302, &[("location", "/again")], "")));
    let error =
        job(&script).download_artifact(DownloadOptions::default(), &mut Vec::new()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "GET https://gitlab.example.com/api/v4/jobs/42/artifacts: 302 Found, but it is the end of 10 redirects in a row"
    );
    assert_eq!(script.asked().len(), 11);
}

#[tokio::test]
async fn a_failed_download_leaves_nothing() {
    let broken = futures_util::stream::iter([Ok(Bytes::from_static(b"half")), Err("reset".into())]);
    let mut answer = http::Response::new(Body::stream(broken, None));
    *answer.status_mut() = http::StatusCode::OK;
    let script = Script::new([Reply::Answer(answer), with(200, &[], "whole")]);
    let path = tempfile::tempdir().unwrap();
    let path = path.path().join("archive");
    let mut file = tokio::fs::File::create(&path).await.unwrap();
    let error = job(&script).download_artifact(DownloadOptions::default(), &mut file).await.unwrap_err();
    assert!(error.is_transport() && error.is_retryable(), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"");
    job(&script).download_artifact(DownloadOptions::default(), &mut file).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"whole");
}

#[tokio::test]
async fn a_storage_error_is_quoted() {
    let script = Script::new([with(
        403,
        &[("content-type", "application/xml")],
        "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>",
    )]);
    let error =
        job(&script).download_artifact(DownloadOptions::default(), &mut Vec::new()).await.unwrap_err();
    assert!(error.is_forbidden());
    assert_eq!(error.server_message(), Some("AccessDenied: Request has expired"));
    let script = Script::new([json(404, r#"{"message": "404 Not found"}"#)]);
    let error =
        job(&script).download_artifact(DownloadOptions::default(), &mut Vec::new()).await.unwrap_err();
    assert!(error.is_not_found() && !error.is_retryable());
    assert!(!format!("{error} {error:?}").contains("secret"));
}

#[tokio::test]
async fn only_answers_about_runners_and_jobs_tell_the_queue_position() {
    let told = |code, value| with(code, &[("x-gitlab-last-update", value)], "");
    let script = Script::new([told(200, "A"), told(202, "B"), told(201, "C"), told(200, "D")]);
    let client = script.client();
    let job = client.job(42, JobToken::new("glcbt-secret"));
    job.update(&JobUpdate::running()).await;
    job.patch_trace(0, "x".into(), false).await;
    job.upload_artifact(&ArtifactUpload::new("a"), "x").await.unwrap();
    job.download_artifact(DownloadOptions::default(), &mut Vec::new()).await.unwrap();
    assert_eq!((client.last_update().as_deref(), script.asked().len()), (Some("A"), 4));
}

#[tokio::test]
async fn a_job_client_can_be_shared_between_tasks() {
    let script = Script::new([status(202), status(200)]);
    let job = Arc::new(job(&script));
    let sender = tokio::spawn({
        let job = Arc::clone(&job);
        async move { job.patch_trace(0, "x".into(), false).await.result }
    });
    assert_eq!(sender.await.unwrap(), PatchResult::Accepted { end: 1 });
    assert_eq!(job.update(&JobUpdate::running()).await.result, UpdateResult::Succeeded);
}
