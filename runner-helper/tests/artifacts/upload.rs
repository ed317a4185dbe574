//! `artifacts-uploader`

use std::io::{Cursor, Read};
use std::os::unix::fs::symlink;

use crate::fixture::Project;
use crate::server::{Answer, Server, answer};

fn entries(archive: &[u8]) -> Vec<String> {
    let mut archive = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
    let entries = (0..archive.len()).map(|index| {
        let mut entry = archive.by_index(index).unwrap();
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        let sign = if entry.is_symlink() { "->" } else { "=" };
        format!("{}{sign}{content}", entry.name().unwrap())
    });
    entries.collect()
}

#[test]
fn a_zip_archive_of_everything_asked_for() {
    let mut project =
        Project::new(&[("out/a", "A"), ("out/sub/b", "B"), ("out/c.log", "C"), ("readme", "R")]);
    symlink("/etc/passwd", project.folder().join("out/link")).unwrap();
    project.environment.insert("CI_JOB_NAME".into(), "test".into());
    let server = Server::new(vec![answer("201 Created", "201")]);
    let ended = project.upload(
        &server.url,
        &[
            "--path",
            "out/",
            "--path",
            "read*",
            "--exclude",
            "**/*.log",
            "--name",
            "x/$CI_JOB_NAME-${X:-y}",
            "--expire-in",
            "1 week",
            "--artifact-format",
            "zip",
            "--artifact-type",
            "archive",
        ],
    );
    assert_eq!(ended.code, 0, "{ended:?}");
    for line in [
        "out/: found 5 matching artifact files and directories",
        "read*: found 1 matching artifact files and directories",
        "**/*.log: excluded 1 files",
        "Uploading artifacts as \"archive\" to coordinator... 201 Created",
        "id=42 responseStatus=201 Created token=64_secret\n",
    ] {
        assert!(ended.log.contains(line), "{line} in {}", ended.log);
    }
    assert!(!ended.log.contains("secret-token"));

    let request = &server.requests()[0];
    assert_eq!(
        request.line,
        "POST /api/v4/jobs/42/artifacts?expire_in=1+week&artifact_format=zip&artifact_type=archive HTTP/1.1"
    );
    assert_eq!(request.header("job-token"), Some("glcbt-64_secret-token"));
    assert_eq!(request.header("transfer-encoding"), Some("chunked"));
    let (name, archive) = request.form();
    assert_eq!(name, "test-y.zip");
    assert_eq!(
        entries(archive),
        ["out/=", "out/a=A", "out/link->/etc/passwd", "out/sub/=", "out/sub/b=B", "readme=R"]
    );
}

#[test]
fn gzip_members_and_a_raw_file() {
    let project = Project::new(&[("a.xml", "one"), ("b.xml", "two")]);
    let server = Server::new(vec![answer("201 Created", ""), answer("201 Created", "")]);
    let gzip =
        ["--path", "*.xml", "--name", "junit.xml", "--artifact-format", "gzip", "--artifact-type", "junit"];
    assert_eq!(project.upload(&server.url, &gzip).code, 0);
    let raw = ["--path", "a.xml", "--artifact-format", "raw", "--name", ""];
    assert_eq!(project.upload(&server.url, &raw).code, 0);

    let requests = server.requests();
    let (name, packed) = requests[0].form();
    let mut content = String::new();
    flate2::read::MultiGzDecoder::new(packed).read_to_string(&mut content).unwrap();
    assert_eq!((name.as_str(), content.as_str()), ("junit.xml.gz", "onetwo"));
    assert_eq!(requests[1].form(), ("default".to_owned(), &b"one"[..]));
    assert!(requests[1].line.contains("?artifact_format=raw "), "{}", requests[1].line);
}

#[test]
fn scenario_83_nothing_to_upload_is_no_failure() {
    let project = Project::new(&[]);
    // Nobody listens there: a request would fail.
    let ended =
        project.upload("http://127.0.0.1:1", &["--path", "/etc/passwd", "--path", "../x", "--path", "out/"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(
        ended.log.matches("artifact path is not a subpath of project directory").count(),
        2,
        "{}",
        ended.log
    );
    assert!(ended.log.contains("out/: no matching files."), "{}", ended.log);
    assert!(ended.log.ends_with("ERROR: No files to upload\x1b[0;m\n"), "{}", ended.log);
}

#[test]
fn scenario_81_a_failing_server_is_tried_three_times_and_the_archive_made_anew() {
    let project = Project::new(&[("a", "A")]);
    let answers = (0..3).map(|_| answer("400 Bad Request", "")).collect();
    let server = Server::new(answers);
    let ended = project.upload(&server.url, &["--path", "a"]);
    assert_eq!(ended.code, 1);
    assert_eq!(ended.log.matches("Retrying...").count(), 2, "{}", ended.log);
    assert!(ended.log.contains("FATAL: the artifacts could not be uploaded"), "{}", ended.log);
    for request in server.requests() {
        assert_eq!(entries(request.form().1), ["a=A"]);
    }
}

#[test]
fn scenario_81_an_unavailable_server_is_tried_six_times_with_five_requests_each() {
    let project = Project::new(&[("a", "A")]);
    let answers = (0..30).map(|_| answer("503 Service Unavailable", "")).collect();
    let server = Server::new(answers);
    let ended = project.upload(&server.url, &["--path", "a"]);
    assert_eq!(ended.code, 1);
    assert_eq!(ended.log.matches("Retrying...").count(), 5, "{}", ended.log);
    assert_eq!(server.requests().len(), 30);
}

#[test]
fn a_later_success_counts() {
    let project = Project::new(&[("a", "A")]);
    let server = Server::new(vec![answer("400 Bad Request", ""), answer("201 Created", "")]);
    assert_eq!(project.upload(&server.url, &["--path", "a"]).code, 0);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn scenario_81_refusals_are_final() {
    for (status, message) in [("403 Forbidden", "permission denied"), ("413 Payload Too Large", "too large")]
    {
        let project = Project::new(&[("a", "A")]);
        let server = Server::new(vec![Answer {
            headers: "Content-Type: application/json\r\n".into(),
            ..answer(status, r#"{"message": "because of the plan"}"#)
        }]);
        let ended = project.upload(&server.url, &["--path", "a"]);
        assert_eq!(ended.code, 1);
        assert!(ended.log.contains("because of the plan"), "{}", ended.log);
        assert!(ended.log.contains(&format!("FATAL: {message}")), "{}", ended.log);
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn a_redirect_takes_the_upload_to_the_other_server() {
    let project = Project::new(&[("a", "A")]);
    let other = Server::new(vec![answer("201 Created", "")]);
    let headers = format!("Location: {}/api/v4/jobs/42/artifacts?artifact_format=zip\r\n", other.url);
    let server = Server::new(vec![Answer { headers, ..answer("307 Temporary Redirect", "") }]);
    let ended = project.upload(&server.url, &["--path", "a"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let request = &other.requests()[0];
    assert_eq!(request.header("job-token"), Some("glcbt-64_secret-token"));
    assert_eq!(entries(request.form().1), ["a=A"]);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn what_cannot_be_packed_fails() {
    let project = Project::new(&[("d/a", "A"), ("b", "B")]);
    let server =
        Server::new(vec![answer("201 Created", ""), answer("201 Created", ""), answer("201 Created", "")]);
    let ended = project.upload(&server.url, &["--path", "d", "--artifact-format", "gzip"]);
    assert_eq!(ended.code, 1);
    assert!(ended.log.contains("is not a regular file"), "{}", ended.log);
    assert_eq!(server.requests().len(), 3);

    for (arguments, part) in [
        (&["--path", "*", "--artifact-format", "raw"][..], "only one file can be sent as raw"),
        (&["--path", "b", "--artifact-format", "tarzstd"], "not supported: artifact format `tarzstd`"),
        (&["--path", "b", "--generate-artifacts-metadata"], "not supported: --generate-artifacts-metadata"),
    ] {
        // Nobody listens there: a request would fail with another text.
        let ended = project.upload("http://127.0.0.1:1", arguments);
        assert_eq!(ended.code, 1);
        assert!(ended.log.contains("FATAL: ") && ended.log.contains(part), "{part} in {}", ended.log);
    }
}

#[test]
fn credentials_are_needed() {
    let project = Project::new(&[("b", "B")]);
    for (arguments, part) in [
        (&["--url", "http://x", "--token", "t", "--id", "0"][..], "missing job id"),
        (&["--url", "http://x", "--token", "", "--id", "1"], "missing runner credentials"),
        (&["--url", "", "--token", "t", "--id", "1"], "missing runner credentials"),
        (&["--url", "ftp://x", "--token", "t", "--id", "1"], "only http or https are supported"),
    ] {
        let ended = project.upload_with(&[arguments, &["--path", "b"]].concat());
        assert_eq!(ended.code, 1);
        assert!(ended.log.contains("FATAL: ") && ended.log.contains(part), "{part} in {}", ended.log);
    }
}

#[test]
fn progress_and_verbosity() {
    let project = Project::new(&[("a", "A")]);
    let server = Server::new(vec![answer("201 Created", "")]);
    let ended =
        project.upload(&server.url, &["--path", "a", "--verbose", "--transfer-meter-frequency", "1s"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.log.contains("\na\x1b[0;m\n"), "{}", ended.log);
    assert!(ended.out.starts_with("\rUploading artifacts ") && ended.out.ends_with('\n'), "{:?}", ended.out);
    server.requests();
}
