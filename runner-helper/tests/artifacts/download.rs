//! `artifacts-downloader`

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::fixture::{Project, zip};
use crate::server::{Answer, Server, answer};

const FAST: [&str; 2] = ["--retry-time", "1ms"];

#[test]
fn an_archive_is_extracted_over_what_is_there() {
    let project = Project::new(&[("a", "old"), ("keep", "kept")]);
    let archive = zip(&[("a", "new"), ("d/", ""), ("d/e/f", "deep"), ("link", "->a")]);
    let server = Server::new(vec![answer("200 OK", archive)]);
    let ended = project.download(&server.url, &[]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.log.contains("Downloading artifacts from coordinator... ok"), "{}", ended.log);
    assert_eq!(
        (project.read("a"), project.read("keep"), project.read("d/e/f")),
        ("new".into(), "kept".into(), "deep".into())
    );
    assert_eq!(fs::read_link(project.folder().join("link")).unwrap(), Path::new("a"));
    assert_eq!(fs::metadata(project.folder().join("a")).unwrap().permissions().mode() & 0o777, 0o751);
    assert_eq!(fs::read_dir(project.staging()).unwrap().count(), 0, "temporary files stayed");

    let request = &server.requests()[0];
    assert_eq!(request.line, "GET /api/v4/jobs/42/artifacts HTTP/1.1");
    assert_eq!(request.header("job-token"), Some("glcbt-64_secret-token"));
}

#[test]
fn a_direct_download_leaves_the_token_behind_and_is_tried_once() {
    let project = Project::new(&[]);
    let storage = Server::new(vec![answer("500 Internal Server Error", "")]);
    // Below the command's own tries the client repeats a request that failed in the storage: through the server again.
    let redirect = || Answer {
        headers: format!("Location: {}/bucket/a.zip?signature=s\r\n", storage.url),
        ..answer("302 Found", "")
    };
    let server = Server::new(vec![redirect(), answer("404 Not Found", "")]);
    let ended = project.download(&server.url, &["--direct-download", FAST[0], FAST[1]]);
    assert_eq!(ended.code, 1);
    let requests = server.requests();
    assert!(requests.iter().all(|request| request.line.contains("?direct_download=true ")), "{requests:?}");
    let request = &storage.requests()[0];
    assert_eq!(request.line, "GET /bucket/a.zip?signature=s HTTP/1.1");
    assert_eq!(request.header("job-token"), None);
}

#[test]
fn after_a_broken_direct_download_the_server_itself_is_asked() {
    let project = Project::new(&[]);
    let archive = zip(&[("a", "A")]);
    let broken = Answer { broken: true, ..answer("200 OK", "half of it") };
    let server = Server::new(vec![broken, answer("200 OK", archive)]);
    let ended = project.download(&server.url, &["--direct-download", FAST[0], FAST[1]]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.log.matches("Retrying...").count(), 1, "{}", ended.log);
    assert_eq!(project.read("a"), "A");
    let lines: Vec<_> = server.requests().into_iter().map(|request| request.line).collect();
    assert_eq!(
        lines,
        [
            "GET /api/v4/jobs/42/artifacts?direct_download=true HTTP/1.1",
            "GET /api/v4/jobs/42/artifacts HTTP/1.1"
        ]
    );
}

#[test]
fn scenario_87_refusals_are_final_and_failures_are_repeated_twice() {
    for (status, tries, fatal) in [
        ("404 Not Found", 1, "FATAL: file does not exist"),
        ("403 Forbidden", 1, "FATAL: permission denied"),
        ("401 Unauthorized", 1, "FATAL: permission denied"),
        ("400 Bad Request", 3, "FATAL: the artifacts could not be downloaded"),
    ] {
        let project = Project::new(&[]);
        let server = Server::new((0..tries).map(|_| answer(status, "")).collect());
        let ended = project.download(&server.url, &FAST);
        assert_eq!(ended.code, 1);
        assert!(ended.log.contains(fatal), "{}", ended.log);
        assert_eq!(server.requests().len(), tries, "{status}");
        assert_eq!(fs::read_dir(project.staging()).unwrap().count(), 0, "temporary files stayed");
    }
}

#[test]
fn nothing_is_written_outside() {
    for entries in [
        &[("../evil", "x")][..],
        &[("/tmp/evil-of-this-test", "x")],
        &[("a/../../evil", "x")],
        &[("existing/evil", "x")],
        &[("d", "->.."), ("d/evil", "x")],
        &[("d/evil", "x"), ("d", "->..")],
    ] {
        let project = Project::new(&[]);
        let outside = tempfile::tempdir().unwrap();
        symlink(outside.path(), project.folder().join("existing")).unwrap();
        let server = Server::new(vec![answer("200 OK", zip(entries))]);
        let ended = project.download(&server.url, &[]);
        assert_eq!(ended.code, 1, "{entries:?}: {ended:?}");
        assert!(ended.log.contains("FATAL: the archive cannot be extracted"), "{}", ended.log);
        assert!(!project.folder().parent().unwrap().join("evil").exists(), "{entries:?}");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0, "{entries:?}");
        assert!(!Path::new("/tmp/evil-of-this-test").exists());
        server.requests();
    }
}

#[test]
fn links_replace_what_was_there_and_are_not_written_through() {
    let project = Project::new(&[("victim", "untouched"), ("file", "old")]);
    symlink("victim", project.folder().join("was-link")).unwrap();
    let archive = zip(&[("file", "->victim"), ("was-link", "now a file"), ("later", "->was-link")]);
    let server = Server::new(vec![answer("200 OK", archive)]);
    let ended = project.download(&server.url, &[]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!((project.read("victim"), project.read("was-link")), ("untouched".into(), "now a file".into()));
    assert_eq!(fs::read_link(project.folder().join("file")).unwrap(), Path::new("victim"));
    server.requests();
}

#[test]
fn what_is_no_zip_archive_fails() {
    for (content, part) in [
        (&b"<html>login</html>"[..], "the archive cannot be read"),
        (b"\x1f\x8b\x08\0", "not supported: extracting an archive of format gzip"),
        (b"\x28\xb5\x2f\xfd", "not supported: extracting an archive of format tarzstd"),
        (b"", "the archive cannot be read"),
    ] {
        let project = Project::new(&[]);
        let server = Server::new(vec![answer("200 OK", content)]);
        let ended = project.download(&server.url, &[]);
        assert_eq!(ended.code, 1);
        assert!(ended.log.contains(part), "{part} in {}", ended.log);
        server.requests();
    }
}
