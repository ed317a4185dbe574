//! The default transport over real TCP: what goes over the wire, and what happens when the other side misbehaves.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use runner_api::retry::RetryPolicy;
use runner_api::transport::{Body, HttpTransport, ProxySettings};
use runner_api::{
    ArtifactUpload, Client, ClientBuilder, DownloadOptions, Error, JobAnswer, JobClient, JobRequest,
    JobToken, JobUpdate, PatchResult, RunnerCredentials, UpdateResult,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Accepts one connection per answer, reads one request, sends the answer and closes. Gives back the requests.
async fn server(answers: Vec<&'static str>) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            requests.push(read_request(&mut stream).await);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        requests
    });
    (address, served)
}

/// Reads a head and the body it announces.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0);
            let chunked = head.contains("transfer-encoding: chunked");
            if if chunked { body.ends_with("0\r\n\r\n") } else { body.len() >= length } {
                return text;
            }
        }
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).await.unwrap();
        assert_ne!(count, 0, "the client hung up after {text:?}");
        read.extend_from_slice(&buffer[..count]);
    }
}

fn client(address: SocketAddr, transport: HttpTransport) -> Client {
    let builder = ClientBuilder::new(&format!("http://{address}/sub/ci/")).unwrap();
    builder.transport(transport).retry(RetryPolicy::off()).build().unwrap()
}

fn plain(address: SocketAddr) -> Client {
    client(address, HttpTransport::builder().build().unwrap())
}

fn job(address: SocketAddr) -> JobClient {
    plain(address).job(42, JobToken::new("secret"))
}

async fn request(client: &Client) -> Result<JobAnswer, Error> {
    client.request_job(&JobRequest::new(RunnerCredentials::new("secret"))).await
}

#[tokio::test]
async fn a_job_request_on_the_wire() {
    let answer = "HTTP/1.1 201 Created\r\nContent-Type: application/json; charset=utf-8\r\nX-Request-Id: srv\r\n\
                  Content-Length: 23\r\n\r\n{\"id\": 42,\"token\": \"t\"}";
    let (address, served) = server(vec![answer]).await;
    let Ok(JobAnswer::Job(job)) = request(&plain(address)).await else { panic!("no job") };
    assert_eq!((job.id, job.correlation_id()), (42, Some("srv")));

    let requests = served.await.unwrap();
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("post /sub/api/v4/jobs/request http/1.1\r\n"), "{head}");
    for line in [
        format!("host: {address}"),
        "runner-token: secret".to_owned(),
        "accept: application/json".to_owned(),
        "content-type: application/json".to_owned(),
        format!("content-length: {}", body.len()),
        "user-agent: gitlab-runner 0.1.0 (runner-api; rust; linux/x86_64)".to_owned(),
    ] {
        assert!(head.lines().any(|found| found == line), "{line} in {head}");
    }
    #[cfg(feature = "gzip")]
    assert!(head.lines().any(|line| line == "accept-encoding: gzip"), "{head}");
    assert!(!head.contains("\r\nexpect:"), "{head}");
}

#[tokio::test]
async fn trace_pieces_have_a_length_and_downloads_no_body() {
    let accepted = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
    let (address, served) = server(vec![accepted, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nPK"]).await;
    let outcome = job(address).patch_trace(5, Bytes::from_static(b"hello"), false).await;
    assert_eq!(outcome.result, PatchResult::Accepted { end: 10 });
    let mut archive = Vec::new();
    job(address).download_artifact(DownloadOptions::default(), &mut archive).await.unwrap();
    assert_eq!(archive, b"PK");

    let requests = served.await.unwrap();
    assert!(requests[0].to_ascii_lowercase().contains("\r\ncontent-length: 5\r\n"), "{}", requests[0]);
    assert!(requests[0].ends_with("\r\n\r\nhello"));
    let download = requests[1].to_ascii_lowercase();
    assert!(!download.contains("content-length") && !download.contains("transfer-encoding"), "{download}");
}

#[tokio::test]
async fn a_post_without_content_has_length_zero() {
    let answer = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{\"token\":\"t2\"}";
    let (address, served) = server(vec![answer]).await;
    plain(address).reset_token_by_id(7, &"glpat-x".into()).await.unwrap();
    let request = served.await.unwrap()[0].to_ascii_lowercase();
    // Some proxies answer 411 to a POST without.
    assert!(request.contains("\r\ncontent-length: 0\r\n"), "{request}");
    assert!(
        request.contains("\r\nprivate-token: glpat-x\r\n") && !request.contains("runner-token"),
        "{request}"
    );
}

#[tokio::test]
async fn an_upload_of_unknown_length_is_chunked() {
    let (address, served) = server(vec!["HTTP/1.1 201 Created\r\nContent-Length: 3\r\n\r\n201"]).await;
    let pieces = ["one", "two"].map(|piece| Ok(Bytes::from_static(piece.as_bytes())));
    let body = Body::stream(futures_util::stream::iter(pieces), None);
    job(address).upload_artifact(&ArtifactUpload::new("a.zip"), body).await.unwrap();
    let request = &served.await.unwrap()[0];
    assert!(request.to_ascii_lowercase().contains("\r\ntransfer-encoding: chunked\r\n"), "{request}");
    assert!(request.contains("3\r\none\r\n3\r\ntwo\r\n"), "{request}");
}

#[tokio::test]
async fn a_failing_source_is_told_apart_from_the_network() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_to_end(&mut Vec::new()).await
    });
    let pieces = [Ok(Bytes::from_static(b"one")), Err("the disk is gone".into())];
    let body = Body::stream(futures_util::stream::iter(pieces), None);
    let error = job(address).upload_artifact(&ArtifactUpload::new("a.zip"), body).await.unwrap_err();
    assert!(error.is_transport() && !error.is_retryable(), "{error:?}");
    assert!(error.to_string().ends_with("/jobs/42/artifacts: the request body could not be read"), "{error}");
    assert!(format!("{error:?}").contains("the disk is gone"), "{error:?}");
    let _ = served.await.unwrap();
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = request(&plain(address)).await.unwrap_err();
    assert!(error.is_connect() && error.is_retryable() && !error.is_timeout(), "{error:?}");
    let expected = format!("POST http://{address}/sub/api/v4/jobs/request: cannot connect to the server");
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn an_answer_breaks_off() {
    let (address, served) =
        server(vec!["HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "HTTP/1.1 20", "nonsense\r\n\r\n"])
            .await;
    let mut archive = Vec::new();
    let error = job(address).download_artifact(DownloadOptions::default(), &mut archive).await.unwrap_err();
    assert!(error.is_transport() && error.is_retryable() && archive.is_empty(), "{error:?}");
    for _ in 0..2 {
        let outcome = job(address).update(&JobUpdate::running()).await;
        assert_eq!(outcome.result, UpdateResult::Failed);
        let error = outcome.error.unwrap();
        assert!(error.is_transport() && !error.is_connect() && !error.is_timeout(), "{error:?}");
    }
    served.await.unwrap();
}

#[tokio::test]
async fn silence_ends_in_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limit = Duration::from_millis(50);
    let silent = client(address, HttpTransport::builder().answer_timeout(limit).build().unwrap());
    let error = request(&silent).await.unwrap_err();
    assert!(error.is_timeout() && !error.is_connect(), "{error:?}");

    let limited = client(address, HttpTransport::builder().total_timeout(limit).build().unwrap());
    assert!(request(&limited).await.unwrap_err().is_timeout());

    // The head is there, the rest never comes.
    let served = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            if read_request(&mut stream).await.starts_with("GET") {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").await.unwrap();
                let _ = stream.read(&mut [0]).await;
                break;
            }
        }
    });
    let mut archive = Vec::new();
    let error = silent
        .job(1, JobToken::new("t"))
        .download_artifact(DownloadOptions::default(), &mut archive)
        .await
        .unwrap_err();
    assert!(error.is_timeout() && archive.is_empty(), "{error:?}");
    served.await.unwrap();
}

#[tokio::test]
async fn a_redirect_to_storage_over_the_wire() {
    let (storage, at_storage) = server(vec!["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nPK"]).await;
    let found = format!(
        "HTTP/1.1 302 Found\r\nLocation: http://{storage}/b/a.zip?sig=s\r\nContent-Length: 0\r\n\r\n"
    );
    let (address, at_gitlab) = server(vec![found.leak()]).await;
    let mut archive = Vec::new();
    job(address).download_artifact(DownloadOptions::default(), &mut archive).await.unwrap();
    assert_eq!(archive, b"PK");
    assert!(at_gitlab.await.unwrap()[0].contains("job-token: secret"));
    let request = &at_storage.await.unwrap()[0];
    assert!(
        request.starts_with("GET /b/a.zip?sig=s HTTP/1.1\r\n") && !request.contains("secret"),
        "{request}"
    );
}

#[tokio::test]
async fn requests_to_this_machine_use_no_proxy() {
    let (address, served) = server(vec!["HTTP/1.1 204 No Content\r\n\r\n"]).await;
    let mut proxy = ProxySettings::default();
    // Nobody listens there: through the proxy the request would fail.
    proxy.http = Some("http://127.0.0.1:1".into());
    let transport = HttpTransport::builder().proxy(proxy).build().unwrap();
    assert!(matches!(request(&client(address, transport)).await, Ok(JobAnswer::NoJob)));
    served.await.unwrap();
}

#[tokio::test]
async fn other_requests_use_the_proxy() {
    let (address, served) = server(vec!["HTTP/1.1 204 No Content\r\n\r\n"]).await;
    let mut proxy = ProxySettings::default();
    proxy.http = Some(format!("http://user:pass@{address}").into());
    let transport: Arc<_> = Arc::new(HttpTransport::builder().proxy(proxy).build().unwrap());
    let builder = ClientBuilder::new("http://gitlab.invalid").unwrap();
    let client = builder.shared_transport(transport).build().unwrap();
    assert!(matches!(request(&client).await, Ok(JobAnswer::NoJob)));
    let request = &served.await.unwrap()[0];
    assert!(request.starts_with("POST http://gitlab.invalid/api/v4/jobs/request HTTP/1.1\r\n"), "{request}");
    assert!(request.to_ascii_lowercase().contains("proxy-authorization: basic"), "{request}");
}
