//! Artifacts over a socket, both ways.

use crate::support::{Site, header, noise};
use runner_coordinator::core::{Artifact, JobId, Options};
use serde_json::json;

fn files_in(site: &Site) -> usize {
    std::fs::read_dir(site.folder.path()).unwrap().count()
}

async fn running_job(site: &Site) -> (JobId, String) {
    site.enqueue("build");
    site.take(json!({})).await
}

fn artifact(site: &Site, job: JobId, artifact_type: &str) -> Option<Artifact> {
    site.handle.job(job, |record| record.artifact(artifact_type).cloned()).flatten()
}

#[tokio::test]
async fn an_archive_comes_back_as_it_went() {
    let site = Site::start(Options::default()).await;
    let (job, token) = running_job(&site).await;
    let content = noise(3 * 1024 * 1024 + 7);
    let query = "artifact_format=zip&artifact_type=archive&expire_in=7d";
    let answer = site.upload(job, &token, query, "artifacts.zip", content.clone()).await;
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.text().await.unwrap(), "201");

    let stored = artifact(&site, job, "archive").unwrap();
    assert_eq!((stored.filename.as_str(), stored.size), ("artifacts.zip", content.len() as u64));
    assert_eq!((stored.artifact_format.as_str(), stored.expire_in.as_deref()), ("zip", Some("7d")));
    let path = site.handle.artifact(job, "archive").unwrap();
    assert!(path.starts_with(site.folder.path()) && path.extension().unwrap() == "zip");
    assert!(std::fs::read(&path).unwrap() == content);

    // A later job downloads with its own token, after this one has ended.
    site.update(job, &token, json!({ "state": "success" })).await;
    let (_, later) = running_job(&site).await;
    for token in [&later, &token] {
        let answer = site.download(job, token, "").await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(header(&answer, "content-disposition"), Some("attachment; filename=\"artifacts.zip\""));
        assert_eq!(answer.content_length(), Some(content.len() as u64));
        assert!(answer.bytes().await.unwrap() == content);
    }
    site.server.shutdown().await;
}

#[tokio::test]
async fn a_range_of_an_archive() {
    let site = Site::start(Options::default()).await;
    let (job, token) = running_job(&site).await;
    let content = noise(100_000);
    site.upload(job, &token, "", "a.zip", content.clone()).await;
    let url = site.url(&format!("jobs/{job}/artifacts"));
    let get = |range: &str| site.client.get(&url).header("JOB-TOKEN", &token).header("Range", range).send();
    let answer = get("bytes=0-0").await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "content-range")), (206, Some("bytes 0-0/100000")));
    let answer = get("bytes=70000-").await.unwrap();
    assert_eq!(header(&answer, "content-range"), Some("bytes 70000-99999/100000"));
    assert!(answer.bytes().await.unwrap() == content[70000..]);
    let answer = get("bytes=100000-").await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "content-range")), (416, Some("bytes */100000")));
    site.server.shutdown().await;
}

#[tokio::test]
async fn the_same_upload_twice_is_fine_another_one_is_not() {
    let site = Site::start(Options::default()).await;
    let (job, token) = running_job(&site).await;
    for expected in [201, 201] {
        assert_eq!(site.upload(job, &token, "", "a.zip", b"one".to_vec()).await.status(), expected);
    }
    let answer = site.upload(job, &token, "", "a.zip", b"two".to_vec()).await;
    assert_eq!(answer.status(), 400);
    assert_eq!(files_in(&site), 1, "only what was accepted is kept");
    assert_eq!(std::fs::read(site.handle.artifact(job, "archive").unwrap()).unwrap(), b"one");
    site.server.shutdown().await;
}

#[tokio::test]
async fn refused_uploads_are_read_to_their_end_and_leave_nothing() {
    let site = Site::start(Options { artifact_limit: Some(1000), ..Options::default() }).await;
    let (job, token) = running_job(&site).await;
    let big = noise(8 * 1024 * 1024);
    assert_eq!(site.upload(job, &token, "", "a.zip", big.clone()).await.status(), 413);
    let wrong = site.upload(job, "glcbt-wrong", "", "a.zip", big.clone()).await;
    assert_eq!((wrong.status().as_u16(), header(&wrong, "job-status")), (403, None));
    assert_eq!(site.upload(job, &token, "artifact_type=nonsense", "a.zip", big.clone()).await.status(), 400);
    site.handle.with(|coordinator, _| coordinator.options_mut().artifacts = false);
    assert_eq!(site.upload(job, &token, "", "a.zip", big.clone()).await.status(), 405);
    site.handle.with(|coordinator, _| coordinator.options_mut().artifacts = true);
    site.update(job, &token, json!({ "state": "success" })).await;
    let late = site.upload(job, &token, "", "a.zip", big).await;
    assert_eq!((late.status().as_u16(), header(&late, "job-status")), (403, Some("success")));
    assert_eq!(files_in(&site), 0);
    assert_eq!(artifact(&site, job, "archive"), None);
    site.server.shutdown().await;
}

#[tokio::test]
async fn downloads_that_are_refused() {
    let site = Site::start(Options::default()).await;
    let (job, token) = running_job(&site).await;
    assert_eq!(site.download(job, &token, "").await.unwrap().status(), 404);
    assert_eq!(site.download(job, "glcbt-wrong", "").await.unwrap().status(), 403);
    assert_eq!(site.download(JobId(999), &token, "").await.unwrap().status(), 403);
    let url = site.url(&format!("jobs/{job}/artifacts"));
    assert_eq!(site.client.get(url).send().await.unwrap().status(), 401);
    site.server.shutdown().await;
}

#[tokio::test]
async fn a_direct_download_is_redirected_to_the_storage() {
    let site = Site::start(Options { record_requests: true, ..Options::default() }).await;
    let url = site.server.url();
    site.handle.with(|coordinator, _| coordinator.options_mut().storage_url = Some(url));
    let (job, token) = running_job(&site).await;
    site.upload(job, &token, "", "a.zip", b"content".to_vec()).await;
    let answer = site.download(job, &token, "direct_download=true").await.unwrap();
    assert_eq!(answer.status(), 302);
    let location = header(&answer, "location").unwrap().to_owned();
    let answer = site.client.get(&location).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.bytes().await.unwrap().as_ref()), (200, &b"content"[..]));
    // Without the parameter the coordinator sends the file itself.
    assert_eq!(site.download(job, &token, "").await.unwrap().status(), 200);
    let to_storage = site.handle.with(|coordinator, _| {
        let last = coordinator.requests().iter().find(|request| request.uri.path().starts_with("/storage/"));
        last.map(|request| request.headers.contains_key("job-token"))
    });
    assert_eq!(to_storage, Some(false));
    site.server.shutdown().await;
}

#[tokio::test]
async fn a_dotenv_report_is_read() {
    let site = Site::start(Options::default()).await;
    let (job, token) = running_job(&site).await;
    let query = "artifact_format=gzip&artifact_type=dotenv";
    let bad = site.upload(job, &token, query, ".env.gz", b"not a variable".to_vec()).await;
    assert_eq!(bad.status(), 400);
    let good = site.upload(job, &token, query, ".env.gz", b"URL=https://x/?a=b\nN=1\n".to_vec()).await;
    assert_eq!(good.status(), 201);
    let variables = site.handle.job(job, |record| record.dotenv.clone()).unwrap();
    assert_eq!(variables, [("URL", "https://x/?a=b"), ("N", "1")].map(|(k, v)| (k.to_owned(), v.to_owned())));
    site.server.shutdown().await;
}

#[tokio::test]
async fn a_body_without_a_file() {
    let site = Site::start(Options::default()).await;
    let (job, token) = running_job(&site).await;
    let form = reqwest::multipart::Form::new().text("other", "x");
    let url = site.url(&format!("jobs/{job}/artifacts"));
    let answer = site.client.post(&url).header("JOB-TOKEN", &token).multipart(form).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let answer =
        site.client.post(&url).header("JOB-TOKEN", &token).body("not multipart").send().await.unwrap();
    assert_eq!(answer.status(), 400);
    assert_eq!(files_in(&site), 0);
    site.server.shutdown().await;
}

#[tokio::test]
async fn the_storage_may_have_an_address_of_its_own() {
    let address = ([127, 0, 0, 1], 0).into();
    let site = Site::start_with(Options::default(), |options| options.with_storage(address)).await;
    let (job, token) = running_job(&site).await;
    site.upload(job, &token, "", "a.zip", noise(1000)).await;
    let answer = site.download(job, &token, "direct_download=true").await.unwrap();
    let location = header(&answer, "location").unwrap().to_owned();
    let storage = format!("http://{}/storage/", site.server.storage_address().unwrap());
    assert!(location.starts_with(&storage), "{location}");
    let answer = site.client.get(&location).header("Range", "bytes=10-19").send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "content-range")), (206, Some("bytes 10-19/1000")));
    assert!(answer.bytes().await.unwrap() == noise(1000)[10..20]);

    // Neither address answers for the other.
    let elsewhere = location.replace(&storage, &format!("{}/storage/", site.server.url()));
    assert_eq!(site.client.get(elsewhere).send().await.unwrap().status(), 404);
    let api = format!("http://{}/api/v4/runners/verify", site.server.storage_address().unwrap());
    assert_eq!(site.client.post(api).send().await.unwrap().status(), 404);

    // A token that reaches the storage is of no use there, and noted.
    let odd = |site: &Site| {
        site.handle.with(|coordinator, _| {
            coordinator.oddities().iter().any(|odd| odd.what == "a token for the object storage")
        })
    };
    assert!(!odd(&site));
    let unsigned = location.split_once('?').unwrap().0.to_owned();
    let answer = site.client.get(unsigned).header("JOB-TOKEN", &token).send().await.unwrap();
    assert_eq!(answer.status(), 403);
    assert!(odd(&site));
    site.server.shutdown().await;
}
