//! Downloads in parallel ranges, and into writers that cannot start again, under a paused clock.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};
use runner_api::retry::RetryPolicy;
use runner_api::{DownloadOptions, DownloadTarget, Downloaded, Error, JobToken, RangeOptions, RequestRate};
use tokio::io::AsyncWrite;
use tokio::time::Instant;

use crate::storage::{ANSWER_TIME, Site, Trouble};

/// Parts of `chunk` bytes, three at a time, of everything that has more than 20.
fn in_parts_of(chunk: u64) -> DownloadOptions {
    let mut ranges = RangeOptions::default();
    (ranges.concurrency, ranges.chunk, ranges.threshold) = (3, chunk, 20);
    let mut options = DownloadOptions::default();
    options.direct = true;
    options.ranges = Some(ranges);
    options
}

async fn fetch(site: &Site, options: DownloadOptions) -> Result<Downloaded, Error> {
    let mut target = b"old".to_vec();
    let downloaded = site.job().download_artifact(options, &mut target).await;
    match &downloaded {
        Ok(downloaded) => {
            assert_eq!(target, site.content(), "{:?}", site.requests());
            assert_eq!(downloaded.bytes, target.len() as u64);
            assert_eq!(downloaded.content_type.as_deref(), Some("application/zip"));
            assert_eq!(downloaded.request_id, "0123456789abcdef0123456789abcdef");
        }
        Err(_) => assert!(target.is_empty() || target == b"old"),
    }
    // Whatever was asked, the token stays at home.
    for seen in site.seen() {
        assert_eq!(seen.token.is_some(), seen.host == "gitlab.example.com", "{seen:?}");
    }
    downloaded
}

#[tokio::test(start_paused = true)]
async fn a_large_artifact_comes_in_parts() {
    let site = Site::new(100).with_tag("\"v1\"");
    let started = Instant::now();
    let downloaded = fetch(&site, in_parts_of(16)).await.unwrap();
    assert_eq!(downloaded.parts, 7);
    assert_eq!(
        site.requests(),
        [
            "gitlab",
            "storage 0-0",
            "storage 0-15",
            "storage 16-31",
            "storage 32-47",
            "storage 48-63",
            "storage 64-79",
            "storage 80-95",
            "storage 96-99",
        ]
    );
    // Three at a time: two requests before, then three rounds.
    assert_eq!((site.most_in_flight(), started.elapsed()), (3, ANSWER_TIME * 5));
    let seen = site.seen();
    assert!(seen[0].url.ends_with("/jobs/42/artifacts?direct_download=true"));
    assert_eq!((seen[1].if_range.as_deref(), seen[1].url.as_str()), (None, seen[2].url.as_str()));
    assert!(seen[2..].iter().all(|seen| seen.if_range.as_deref() == Some("\"v1\"")));
}

#[tokio::test(start_paused = true)]
async fn a_file_is_filled_at_its_positions() {
    let site = Site::new(1000).troubles([Trouble::None, Trouble::Break(30), Trouble::None]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive");
    std::fs::write(&path, vec![7; 3000]).unwrap();
    let mut file = tokio::fs::OpenOptions::new().write(true).open(&path).await.unwrap();
    let downloaded = site.job().download_artifact(in_parts_of(64), &mut file).await.unwrap();
    assert_eq!((downloaded.bytes, downloaded.parts), (1000, 16));
    assert_eq!(std::fs::read(&path).unwrap(), site.content());
}

#[tokio::test(start_paused = true)]
async fn a_part_that_breaks_is_fetched_again_alone() {
    // After the byte of the probe: both parts break off, and one of them once more.
    let troubles = [Trouble::None, Trouble::Break(5), Trouble::End(8), Trouble::None, Trouble::Break(0)];
    let site = Site::new(64).troubles(troubles);
    assert_eq!(fetch(&site, in_parts_of(32)).await.unwrap().parts, 2);
    let requests = site.requests();
    let count = |wanted: &str| requests.iter().filter(|request| *request == wanted).count();
    let mut tries = [count("storage 0-31"), count("storage 32-63")];
    tries.sort_unstable();
    assert_eq!((count("gitlab"), tries, requests.len()), (1, [2, 3], 7), "{requests:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_handed_over_is_not_fetched_again() {
    // Blocks of 256 KiB are handed over; what came of the next one is lost with the connection.
    let block = 256 * 1024;
    let site = Site::new(3 * block).troubles([Trouble::None, Trouble::Break(2 * block + 1000)]);
    let mut options = in_parts_of(3 * block as u64);
    options.ranges.as_mut().unwrap().threshold = 0;
    fetch(&site, options).await.unwrap();
    let requests = site.requests();
    let first: usize =
        requests[3].strip_prefix("storage ").unwrap().split_once('-').unwrap().0.parse().unwrap();
    assert!((2 * block..2 * block + 100).contains(&first), "{requests:?}");
}

#[tokio::test(start_paused = true)]
async fn an_address_that_has_expired_is_asked_for_again_once() {
    let part = |trouble: Trouble| (0..3).map(move |_| trouble.clone());
    let troubles = [Trouble::None].into_iter().chain(part(Trouble::None)).chain(part(Trouble::Status(403)));
    let site = Site::new(100).troubles(troubles);
    assert_eq!(fetch(&site, in_parts_of(16)).await.unwrap().parts, 7);
    let requests = site.requests();
    assert_eq!(requests.iter().filter(|request| *request == "gitlab").count(), 2, "{requests:?}");
    // Nothing that had come was fetched again.
    assert_eq!(requests.len(), 2 + 7 + 3 + 1, "{requests:?}");
}

#[tokio::test(start_paused = true)]
async fn a_ceiling_holds_back_what_goes_to_the_instance_only() {
    let site = Site::new(100);
    let rate = RequestRate::every(Duration::from_secs(60));
    let client = site.builder().request_rate(rate).build().unwrap();
    let job = client.job(42, JobToken::new("glcbt-secret"));
    let started = Instant::now();
    job.download_artifact(in_parts_of(16), &mut Vec::new()).await.unwrap();
    assert_eq!(started.elapsed(), ANSWER_TIME * 5);
    job.download_artifact(in_parts_of(16), &mut Vec::new()).await.unwrap();
    assert_eq!(started.elapsed(), Duration::from_secs(60) + ANSWER_TIME * 5);
}

#[tokio::test(start_paused = true)]
async fn small_artifacts_come_as_one_stream() {
    let site = Site::new(20);
    assert_eq!(fetch(&site, in_parts_of(4)).await.unwrap().parts, 1);
    assert_eq!(site.requests(), ["gitlab", "storage 0-0", "storage"]);
}

#[tokio::test(start_paused = true)]
async fn a_storage_without_ranges_is_asked_once() {
    let site = Site::new(100).troubles([Trouble::Whole]);
    assert_eq!(fetch(&site, in_parts_of(4)).await.unwrap().parts, 1);
    assert_eq!(site.requests(), ["gitlab", "storage 0-0"]);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_sends_the_content_itself_is_asked_once() {
    let site = Site::new(100).without_redirect();
    assert_eq!(fetch(&site, in_parts_of(4)).await.unwrap().parts, 1);
    assert_eq!(site.requests(), ["gitlab"]);
    let site = Site::new(100).without_redirect().troubles([Trouble::Status(404)]);
    assert!(fetch(&site, in_parts_of(4)).await.unwrap_err().is_not_found());
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_ends_in_one_stream_from_the_beginning() {
    for trouble in
        [Trouble::Status(416), Trouble::Whole, Trouble::Total(99), Trouble::Tag("\"v2\""), Trouble::Extra(1)]
    {
        // The third part is the one.
        let site = Site::new(100).with_tag("\"v1\"").troubles([
            Trouble::None,
            Trouble::None,
            Trouble::None,
            trouble,
        ]);
        assert_eq!(fetch(&site, in_parts_of(16)).await.unwrap().parts, 1);
        let requests = site.requests();
        assert_eq!(requests[requests.len() - 2..], ["gitlab", "storage"]);
    }
    // So does a probe that fails, and a part whose connection breaks again and again.
    for troubles in [vec![Trouble::Status(403)], vec![Trouble::Total(0)], {
        let mut all = vec![Trouble::None];
        all.extend((0..5).map(|_| Trouble::Break(0)));
        all
    }] {
        let site = Site::new(100).troubles(troubles);
        assert_eq!(fetch(&site, in_parts_of(100)).await.unwrap().parts, 1);
        let requests = site.requests();
        assert_eq!(requests[requests.len() - 2..], ["gitlab", "storage"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_download_that_cannot_be_had_leaves_nothing() {
    let refused = (0..6).map(|_| Trouble::Status(403));
    let site = Site::new(100).troubles([Trouble::None].into_iter().chain(refused));
    let error = fetch(&site, in_parts_of(100)).await.unwrap_err();
    assert!(error.is_forbidden());
    assert_eq!(site.requests().len(), 2 + 5 + 4 + 2, "{:?}", site.requests());
    let site = Site::new(100).troubles([Trouble::None, Trouble::Whole, Trouble::Break(50)]);
    let error = fetch(&site, in_parts_of(100)).await.unwrap_err();
    assert!(error.is_transport());
}

/// Fails at a position, and has no room at all afterwards.
struct Broken(Vec<u8>, u32);

#[async_trait::async_trait]
impl DownloadTarget for Broken {
    async fn reset(&mut self) -> io::Result<()> {
        self.1 += 1;
        self.0.clear();
        Ok(())
    }

    async fn write(&mut self, _piece: Bytes) -> io::Result<()> {
        panic!("there is no second try after a target failed");
    }

    fn can_write_at(&self) -> bool {
        true
    }

    async fn write_at(&mut self, offset: u64, piece: Bytes) -> io::Result<()> {
        if offset >= 32 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.write_at(offset, piece).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_fails_ends_the_download() {
    let site = Site::new(100);
    let mut target = Broken(Vec::new(), 0);
    let error = site.job().download_artifact(in_parts_of(16), &mut target).await.unwrap_err();
    assert!(error.is_target() && !error.is_retryable(), "{error}");
    assert_eq!(
        error.to_string(),
        "GET https://storage.example.com/b/42.zip: the downloaded bytes could not be stored"
    );
    assert!(!format!("{error:?}").contains("signature"));
    assert_eq!((target.0.len(), target.1), (0, 2));
}

/// Cannot write at positions.
struct Pipe(Vec<u8>);

#[async_trait::async_trait]
impl DownloadTarget for Pipe {
    async fn reset(&mut self) -> io::Result<()> {
        self.0.clear();
        Ok(())
    }

    async fn write(&mut self, piece: Bytes) -> io::Result<()> {
        self.0.extend_from_slice(&piece);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_without_positions_gets_one_stream() {
    let site = Site::new(100);
    let mut target = Pipe(Vec::new());
    site.job().download_artifact(in_parts_of(16), &mut target).await.unwrap();
    assert_eq!(
        (target.0, site.requests()),
        (site.content().to_vec(), vec!["gitlab".into(), "storage".into()])
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the sizes and wherever connections break, a finished download is the artifact.
    #[test]
    fn any_sizes_and_any_breaks(
        size in 1_usize..400,
        chunk in 1_u64..200,
        concurrency in 1_usize..6,
        breaks in proptest::collection::vec((any::<bool>(), 0_usize..100), 0..12),
    ) {
        let troubles = breaks.into_iter().map(|(breaks, at)| if breaks { Trouble::Break(at) } else { Trouble::None });
        let site = Site::new(size).troubles(troubles);
        let mut options = in_parts_of(chunk);
        options.ranges.as_mut().unwrap().concurrency = concurrency;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut target = Vec::new();
            match site.job().download_artifact(options, &mut target).await {
                Ok(downloaded) => prop_assert_eq!(downloaded.bytes, size as u64),
                Err(_) => { prop_assert_eq!(target.len(), 0); return Ok(()); }
            }
            prop_assert_eq!(target, site.content());

            let mut writer = Vec::new();
            match site.job().download_artifact_to(options, &mut writer).await {
                Ok(_) => prop_assert_eq!(&writer, &site.content()),
                Err(error) => prop_assert_eq!(writer.len() as u64, error.bytes_written()),
            }
            prop_assert_eq!(&writer, &site.content()[..writer.len()]);
            Ok(())
        })?;
    }
}

fn whole() -> DownloadOptions {
    let mut options = DownloadOptions::default();
    options.direct = true;
    options
}

#[tokio::test(start_paused = true)]
async fn a_writer_gets_the_rest_after_a_break() {
    let site = Site::new(100).with_tag("\"v1\"").troubles([
        Trouble::Break(30),
        Trouble::Break(0),
        Trouble::Status(503),
        Trouble::Break(41),
        Trouble::End(10),
    ]);
    let mut writer = Vec::new();
    let downloaded = site.job().download_artifact_to(whole(), &mut writer).await.unwrap();
    assert_eq!(writer, site.content());
    assert_eq!((downloaded.bytes, downloaded.parts), (100, 5));
    assert_eq!(
        site.requests(),
        [
            "gitlab",
            "storage",
            "gitlab 30-",
            "storage 30-",
            "gitlab 30-",
            "storage 30-",
            "gitlab 30-",
            "storage 30-",
            "gitlab 71-",
            "storage 71-",
            "gitlab 81-",
            "storage 81-",
        ]
    );
    for seen in &site.seen()[2..] {
        assert_eq!(seen.if_range.as_deref(), Some("\"v1\""));
        assert_eq!(seen.token.is_some(), seen.host == "gitlab.example.com", "{seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_writer_is_told_when_the_rest_cannot_be_had() {
    for (trouble, cause) in [
        (Trouble::Whole, "200 OK, but it begins from the start again"),
        (Trouble::Total(101), "206 Partial Content, but it is not the rest of the same artifact"),
        (Trouble::Tag("\"v2\""), "206 Partial Content, but it is not the rest of the same artifact"),
        (Trouble::Status(404), "404 Not Found"),
        (Trouble::Extra(1), "206 Partial Content, but it is longer than it was announced"),
    ] {
        let site = Site::new(100).with_tag("\"v1\"").troubles([Trouble::Break(30), trouble.clone()]);
        let mut writer = Vec::new();
        let error = site.job().download_artifact_to(whole(), &mut writer).await.unwrap_err();
        assert!(error.is_partial() && !error.is_retryable() && !error.is_transport(), "{error}");
        assert_eq!(error.bytes_written(), writer.len() as u64);
        assert_eq!(writer, site.content()[..writer.len()], "{trouble:?}");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.ends_with(cause), "{source}");
    }
    // There is nothing to compare the rest with.
    let site = Site::new(100).without_length().troubles([Trouble::Break(30)]);
    let mut writer = Vec::new();
    let error = site.job().download_artifact_to(whole(), &mut writer).await.unwrap_err();
    assert_eq!((error.bytes_written(), writer.len(), site.requests().len()), (30, 30, 2));
    assert_eq!(
        error.to_string(),
        "GET https://gitlab.example.com/api/v4/jobs/42/artifacts: broke off after 30 bytes, which cannot be taken back"
    );
    // Patience has an end.
    let site = Site::new(100).troubles((0..9).map(|_| Trouble::Break(10)));
    let error = site.job().download_artifact_to(whole(), &mut Vec::new()).await.unwrap_err();
    assert_eq!((error.bytes_written(), site.requests().len()), (50, 10));
    let site = Site::new(100).troubles([Trouble::Break(10)]);
    let job = site.job().with_retry(RetryPolicy::off());
    assert_eq!(job.download_artifact_to(whole(), &mut Vec::new()).await.unwrap_err().bytes_written(), 10);
}

#[tokio::test(start_paused = true)]
async fn before_the_first_byte_the_caller_may_try_again() {
    for trouble in [Trouble::Break(0), Trouble::Status(404)] {
        let site = Site::new(100).troubles([trouble]);
        let mut writer = Vec::new();
        let error = site.job().download_artifact_to(whole(), &mut writer).await.unwrap_err();
        assert!(!error.is_partial() && (error.is_transport() || error.is_not_found()));
        assert_eq!((error.bytes_written(), writer.len()), (0, 0));
        site.job().download_artifact_to(whole(), &mut writer).await.unwrap();
        assert_eq!(writer, site.content());
    }
}

/// Takes ten bytes.
struct Full(usize);

impl AsyncWrite for Full {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let room = (10 - self.0).min(bytes.len());
        self.0 += room;
        Poll::Ready(if room == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(room) })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        panic!("the writer is its owner's to shut down");
    }
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_fails_ends_the_download() {
    let site = Site::new(100);
    let error = site.job().download_artifact_to(whole(), &mut Full(0)).await.unwrap_err();
    assert!(error.is_target() && !error.is_retryable() && site.requests().len() == 2, "{error}");
}
