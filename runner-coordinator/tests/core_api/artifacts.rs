//! Artifacts with bodies in memory.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use runner_coordinator::core::{Content, EventKind, JobId, Options, Payload};
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

#[test]
fn types_have_their_formats_and_limits() {
    let limits = [("junit".to_owned(), 2)].into();
    let options = Options { artifact_limit: Some(5), artifact_type_limits: limits, ..Options::default() };
    let mut gitlab = Gitlab::new(options);
    let (job, token) = gitlab.running();
    for (query, content, status) in [
        ("artifact_type=junit&artifact_format=zip", "1", 400),
        ("artifact_type=archive&artifact_format=raw", "1", 400),
        ("artifact_type=archive&artifact_format=tarzstd", "1", 400),
        ("artifact_type=junit&artifact_format=gzip", "123", 413),
        ("artifact_type=junit&artifact_format=gzip", "12", 201),
        ("artifact_type=cyclonedx&artifact_format=gzip", "12345", 201),
        ("artifact_type=sarif&artifact_format=raw", "123456", 413),
        ("artifact_type=sarif&artifact_format=raw", "1", 201),
    ] {
        assert_eq!(upload(&mut gitlab, job, &token, query, content).status(), status, "{query}");
    }
}

#[test]
fn parameters_may_be_fields_of_the_form() {
    let mut gitlab = Gitlab::new(Options::default());
    let (job, token) = gitlab.running();
    let field = |name: &str, value: &str| {
        format!("--xxx\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let file = "--xxx\r\nContent-Disposition: form-data; name=\"file\"; filename=\".env\"\r\n\r\nA=1\r\n";
    let body =
        [file, &field("artifact_type", "dotenv"), &field("artifact_format", "gzip"), "--xxx--\r\n"].concat();
    let headers = [("JOB-TOKEN", token.as_str()), ("Content-Type", MULTIPART)];
    let answer = gitlab.call_with("POST", &format!("jobs/{job}/artifacts"), &headers, body.into());
    assert_eq!(answer.status(), 201);
    assert_eq!(gitlab.job(job).artifact("dotenv").unwrap().artifact_format, "gzip");
    assert_eq!(gitlab.job(job).dotenv, [("A".to_owned(), "1".to_owned())]);
}

#[test]
fn artifacts_expire() {
    for (query, life) in [
        ("expire_in=1+hour", Some(3600)),
        ("expire_in=2+hrs+5+sec", Some(7205)),
        ("expire_in=never", None),
        ("expire_in=soon", None),
        ("", Some(30 * 24 * 3600)),
    ] {
        let mut gitlab = Gitlab::new(Options::default());
        let (job, token) = gitlab.running();
        upload(&mut gitlab, job, &token, query, "1");
        let end = life.map(|life| gitlab.now + Duration::from_secs(life));
        assert_eq!(gitlab.job(job).artifact("archive").unwrap().expires_at, end, "{query}");
        gitlab.update(job, &token, json!({ "state": "success" }));
        if let Some(life) = life {
            gitlab.pass(life - 1);
            assert_eq!(download(&mut gitlab, job, &token).status(), 200, "{query}");
            gitlab.pass(1);
            assert_eq!(download(&mut gitlab, job, &token).status(), 404, "{query}");
        }
    }
}

#[test]
fn the_proxy_may_ask_before_an_upload() {
    let mut gitlab = Gitlab::new(Options { artifact_limit: Some(4), ..Options::default() });
    let (job, token) = gitlab.running();
    let mut ask = |token: &str, query: &str| {
        let path = format!("jobs/{job}/artifacts/authorize?{query}");
        gitlab.call_with("POST", &path, &[("JOB-TOKEN", token)], Bytes::new())
    };
    let answer = ask(&token, "filesize=4");
    assert_eq!((answer.status(), answer.bytes().as_ref()), (200, &br#"{"MaximumSize":4}"#[..]));
    assert_eq!(ask(&token, "filesize=5").status(), 413);
    assert_eq!(ask(&token, "artifact_type=x").status(), 400);
    assert_eq!(ask("x", "").status(), 403);
    gitlab.core.options_mut().artifacts = false;
    let answer = gitlab.call("POST", &format!("jobs/{job}/artifacts/authorize"), json!({}));
    assert_eq!(answer.status(), 405);
}

fn direct(gitlab: &mut Gitlab, job: JobId, token: &str) -> String {
    let path = format!("jobs/{job}/artifacts?direct_download=true");
    let answer = gitlab.call_with("GET", &path, &[("JOB-TOKEN", token)], Bytes::new());
    assert_eq!(answer.status(), 302);
    answer.header("location").unwrap().strip_prefix("http://storage").unwrap().to_owned()
}

fn get(gitlab: &mut Gitlab, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = http::Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer(gitlab.send(request.body(Bytes::new()).unwrap()).ready().unwrap().response)
}

#[test]
fn addresses_of_direct_downloads_are_signed_for_a_while() {
    let storage_url = Some("http://storage/".to_owned());
    let mut gitlab = Gitlab::new(Options { storage_url, ..Options::default() });
    let (job, token) = gitlab.running();
    upload(&mut gitlab, job, &token, "", "content");
    let path = direct(&mut gitlab, job, &token);
    let answer = get(&mut gitlab, &path, &[]);
    assert_eq!((answer.status(), answer.bytes().as_ref()), (200, &b"content"[..]));

    let bare = path.split_once('?').unwrap().0.to_owned();
    let forged = format!("{path}0");
    for wrong in [&bare, &forged] {
        let answer = get(&mut gitlab, wrong, &[]);
        assert_eq!((answer.status(), answer.header("content-type")), (403, Some("application/xml")));
        let Payload::Bytes(xml) = answer.0.body() else { panic!() };
        assert!(String::from_utf8_lossy(xml).contains("<Code>SignatureDoesNotMatch</Code>"), "{xml:?}");
    }
    gitlab.pass(600);
    let answer = get(&mut gitlab, &path, &[]);
    assert!(String::from_utf8_lossy(answer.bytes()).contains("<Message>Request has expired</Message>"));
}

#[test]
fn ranges_of_a_file_that_has_not_changed() {
    let storage_url = Some("http://storage".to_owned());
    let mut gitlab = Gitlab::new(Options { storage_url, ..Options::default() });
    let (job, token) = gitlab.running();
    upload(&mut gitlab, job, &token, "", "0123456789");
    let path = direct(&mut gitlab, job, &token);
    let whole = get(&mut gitlab, &path, &[]);
    let etag = whole.header("etag").unwrap().to_owned();
    let answer = get(&mut gitlab, &path, &[("Range", "bytes=3-"), ("If-Range", &etag)]);
    assert_eq!((answer.status(), answer.bytes().as_ref()), (206, &b"3456789"[..]));
    assert_eq!(answer.header("content-range"), Some("bytes 3-9/10"));
    let answer = get(&mut gitlab, &path, &[("Range", "bytes=3-"), ("If-Range", "\"other\"")]);
    assert_eq!((answer.status(), answer.bytes().as_ref()), (200, &b"0123456789"[..]));
}
