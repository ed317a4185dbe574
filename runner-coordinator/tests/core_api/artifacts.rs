//! Artifacts with bodies in memory.

use bytes::Bytes;
use http::StatusCode;
use runner_coordinator::core::{Content, EventKind, JobId, Options};
use serde_json::json;

use crate::support::{Answer, Gitlab, message};

const MULTIPART: &str = "multipart/form-data; boundary=xxx";

fn form(name: &str, content: &str) -> Bytes {
    let head = format!("Content-Disposition: form-data; name=\"{name}\"; filename=\"a.zip\"");
    Bytes::from(format!(
        "--xxx\r\n{head}\r\nContent-Type: application/octet-stream\r\n\r\n{content}\r\n--xxx--\r\n"
    ))
}

fn upload(gitlab: &mut Gitlab, job: JobId, token: &str, query: &str, content: &str) -> Answer {
    let headers = [("JOB-TOKEN", token), ("Content-Type", MULTIPART)];
    gitlab.call_with("POST", &format!("jobs/{job}/artifacts?{query}"), &headers, form("file", content))
}

fn download(gitlab: &mut Gitlab, job: JobId, token: &str) -> Answer {
    gitlab.call_with("GET", &format!("jobs/{job}/artifacts?"), &[("JOB-TOKEN", token)], Bytes::new())
}

#[test]
fn both_ways() {
    let mut gitlab = Gitlab::new(Options::default());
    let (job, token) = gitlab.running();
    gitlab.events();
    let answer = upload(&mut gitlab, job, &token, "expire_in=1+week&artifact_format=zip", "PK data");
    assert_eq!((answer.status(), answer.bytes().as_ref()), (201, &b"201"[..]));
    let artifact = gitlab.job(job).artifact("archive").unwrap().clone();
    assert_eq!((artifact.filename.as_str(), artifact.size), ("a.zip", 7));
    assert_eq!(artifact.expire_in.as_deref(), Some("1 week"));
    assert_eq!(artifact.content, Content::Bytes(Bytes::from("PK data")));
    assert_eq!(
        gitlab.events(),
        [EventKind::ArtifactStored {
            job,
            artifact_type: "archive".to_owned(),
            filename: "a.zip".to_owned(),
            size: 7
        }]
    );
    let answer = download(&mut gitlab, job, &token);
    assert_eq!((answer.status(), answer.bytes().as_ref()), (200, &b"PK data"[..]));
}

#[test]
fn each_type_has_its_place() {
    let mut gitlab = Gitlab::new(Options::default());
    let (job, token) = gitlab.running();
    assert_eq!(
        upload(&mut gitlab, job, &token, "artifact_type=junit&artifact_format=gzip", "j").status(),
        201
    );
    assert_eq!(
        download(&mut gitlab, job, &token).error(),
        message(StatusCode::NOT_FOUND),
        "a report is no archive"
    );
    assert_eq!(upload(&mut gitlab, job, &token, "artifact_type=archive", "a").status(), 201);
    assert_eq!(gitlab.job(job).artifacts.len(), 2);
}

#[test]
fn uploads_that_are_refused() {
    let mut gitlab = Gitlab::new(Options { artifact_limit: Some(4), ..Options::default() });
    let (job, token) = gitlab.running();
    assert_eq!(upload(&mut gitlab, job, &token, "", "12345").error(), message(StatusCode::PAYLOAD_TOO_LARGE));
    assert_eq!(upload(&mut gitlab, job, "x", "", "1").error(), message(StatusCode::FORBIDDEN));
    for query in ["artifact_type=x", "artifact_format=x"] {
        assert_eq!(upload(&mut gitlab, job, &token, query, "1").status(), 400);
    }
    let path = format!("jobs/{job}/artifacts");
    let headers = [("JOB-TOKEN", token.as_str()), ("Content-Type", MULTIPART)];
    let answer = gitlab.call_with("POST", &path, &headers, form("other", "1"));
    assert_eq!(answer.error(), (400, json!({ "error": "file is missing" })));
    assert_eq!(gitlab.call_with("POST", &path, &headers[..1], form("file", "1")).status(), 400);
    gitlab.update(job, &token, json!({ "state": "success" }));
    let late = upload(&mut gitlab, job, &token, "", "1");
    assert_eq!((late.status(), late.header("job-status")), (403, Some("success")));
    gitlab.core.options_mut().artifacts = false;
    let off = upload(&mut gitlab, job, &token, "", "1");
    assert_eq!(off.error(), message(StatusCode::METHOD_NOT_ALLOWED));
    assert_eq!(gitlab.job(job).artifacts, []);
}

#[test]
fn who_may_download() {
    let mut gitlab = Gitlab::new(Options::default());
    let (job, token) = gitlab.running();
    upload(&mut gitlab, job, &token, "", "1");
    gitlab.update(job, &token, json!({ "state": "success" }));
    assert_eq!(download(&mut gitlab, job, &token).status(), 200, "the job's own token, also after its end");
    let (other, running) = gitlab.running();
    assert_eq!(download(&mut gitlab, job, &running).status(), 200, "that of a running job");
    gitlab.update(other, &running, json!({ "state": "success" }));
    assert_eq!(download(&mut gitlab, job, &running).status(), 403, "which has ended");
    assert_eq!(download(&mut gitlab, JobId(99), &token).status(), 403);
    let answer = gitlab.call_with("GET", &format!("jobs/{job}/artifacts"), &[], Bytes::new());
    assert_eq!(answer.error(), message(StatusCode::UNAUTHORIZED));
    gitlab.core.erase(job);
    assert_eq!(download(&mut gitlab, job, &token).status(), 403);
}
