//! The whole path, from the frames of a stage to the bodies of the requests.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod log_support;

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use log_support::{Frames, Job, Server, epoch, filter_settings, settle, stage};
use proptest::prelude::*;
use runner_core::executor::{OutputFrame, OutputStream, StageKey};
use runner_core::log::{
    Delivery, Entry, Filter, FilterSettings, FinalState, LineKind, LogError, LogStorage, MaskRules,
    MemoryCheckpoints, MemorySpool, SenderSettings, Spool,
};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use OutputStream::{Stderr, Stdout};

/// Each secret with a text that ends in it after a false start, if it has one.
const SECRETS: [(&str, &str); 6] = [
    ("secret", "s"),
    ("aab-x", "a"),
    ("aab-secret-value", "aa"),
    ("abababc", "abab"),
    ("-----BEGIN KEY-----\nMIIB\n-----END KEY-----", "-----BEGIN KEY-----\nMIIB\n"),
    ("pässwörd€", "p"),
];

/// What the server got when `pieces` were printed one after the other, each sent before the next one is printed.
async fn sent(settings: &FilterSettings, pieces: &[(OutputStream, &[u8])]) -> Sent {
    let server = Server::new();
    let mut job =
        Job::start(&server, LogStorage::memory(), settings.clone(), SenderSettings::default()).await;
    for (stream, piece) in pieces {
        job.print_on(*stream, piece.to_vec()).await;
        sleep(Duration::from_secs(2)).await;
    }
    job.log.flush_stage(&stage()).await.unwrap();
    job.log.finish().await.unwrap();
    assert_eq!(job.sender.finish(FinalState::Success).await, Delivery::Delivered);
    let bodies = server.bodies();
    assert_eq!(bodies.concat(), server.trace());
    Sent { bodies, text: server.text(), timestamps: settings.timestamps }
}

struct Sent {
    bodies: Vec<Bytes>,
    text: String,
    timestamps: bool,
}

impl Sent {
    /// What a reader sees of each stream: without headers, with continued lines joined.
    fn streams(&self) -> HashMap<String, String> {
        let mut streams: HashMap<String, String> = HashMap::new();
        if !self.timestamps {
            streams.insert("all".into(), self.text.clone());
            return streams;
        }
        for line in self.text.split_inclusive('\n') {
            let (header, text) = line.split_at(32);
            let stream = streams.entry(header[28..31].to_owned()).or_default();
            if header.ends_with('+') {
                assert!(stream.ends_with('\n'), "something to continue");
                stream.pop();
            }
            stream.push_str(text);
        }
        streams
    }

    fn assert_never(&self, secret: &str) {
        assert!(!self.text.contains(secret), "{secret:?} in {:?}", self.text);
        for body in &self.bodies {
            assert!(!String::from_utf8_lossy(body).contains(secret), "{secret:?} in a request: {body:?}");
        }
        for (stream, text) in self.streams() {
            assert!(!text.contains(secret), "{secret:?} in {stream}: {text:?}");
        }
    }
}

fn with_timestamps(secrets: &[&str], timestamps: bool) -> FilterSettings {
    FilterSettings { timestamps, ..filter_settings(secrets) }
}

#[tokio::test(start_paused = true)]
async fn scenario_61_a_masked_value_split_at_every_byte_boundary_never_reaches_the_wire() {
    for timestamps in [false, true] {
        for (secret, false_start) in SECRETS {
            let settings = with_timestamps(&[secret], timestamps);
            let text = format!("x {false_start}{secret}\n");
            let (from, to) = (2, text.len() - 1);
            for cut in from..=to {
                let pieces = [(Stdout, &text.as_bytes()[..cut]), (Stdout, &text.as_bytes()[cut..])];
                let sent = sent(&settings, &pieces).await;
                sent.assert_never(secret);
                let name = if timestamps { "01O" } else { "all" };
                let all = sent.streams().remove(name).unwrap();
                assert_eq!(all, format!("x {false_start}[MASKED]\n"), "{secret:?} cut at {cut}");
                // What was sent before the rest was printed holds nothing of the value.
                if !timestamps && cut > from + false_start.len() {
                    let first = String::from_utf8_lossy(&sent.bodies[0]).into_owned();
                    assert!(format!("x {false_start}[MASKED]").starts_with(&first), "{first:?}");
                }
            }
            let bytes: Vec<_> = text.as_bytes().chunks(1).map(|byte| (Stdout, byte)).collect();
            sent(&settings, &bytes).await.assert_never(secret);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_false_start_cut_by_a_write_does_not_leak_the_value() {
    for timestamps in [false, true] {
        let settings = with_timestamps(&["aab-x"], timestamps);
        let sent = sent(&settings, &[(Stdout, b"a"), (Stdout, b"aab-x\n")]).await;
        sent.assert_never("aab-x");
        let name = if timestamps { "01O" } else { "all" };
        assert_eq!(sent.streams()[name], "a[MASKED]\n");
    }
}

#[tokio::test(start_paused = true)]
async fn the_other_stream_in_between_does_not_leak_the_value() {
    for timestamps in [false, true] {
        for (secret, false_start) in SECRETS {
            let settings = with_timestamps(&[secret], timestamps);
            let text = format!("{false_start}{secret}\n");
            for cut in 0..text.len() {
                let (a, b) = text.as_bytes().split_at(cut);
                let sent = sent(&settings, &[(Stdout, a), (Stderr, b"noise\n"), (Stdout, b)]).await;
                sent.assert_never(secret);
                assert_eq!(
                    sent.text.matches("[MASKED]").count(),
                    1,
                    "{secret:?} cut at {cut}: {:?}",
                    sent.text
                );
                if timestamps {
                    assert_eq!(sent.streams()["01O"], format!("{false_start}[MASKED]\n"));
                    assert_eq!(sent.streams()["01E"], "noise\n");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_that_comes_about_where_streams_meet_does_not_leak() {
    for timestamps in [false, true] {
        for (secret, false_start) in SECRETS {
            let settings = with_timestamps(&[secret], timestamps);
            for cut in 0..secret.len() {
                let (a, b) = secret.as_bytes().split_at(cut);
                let pieces = [(Stdout, false_start.as_bytes()), (Stdout, a), (Stderr, b), (Stdout, b"\n")];
                sent(&settings, &pieces).await.assert_never(secret);
                let pieces = [(Stderr, a), (Stderr, a), (Stdout, b)];
                sent(&settings, &pieces).await.assert_never(secret);
            }
        }
        let settings = with_timestamps(&["ab"], timestamps);
        sent(&settings, &[(Stdout, b"a"), (Stdout, b"a"), (Stderr, b"b")]).await.assert_never("ab");
    }
}

#[tokio::test(start_paused = true)]
async fn script_scenario_13_urls_and_tokens_are_masked_across_writes() {
    let settings = filter_settings(&[]);
    let pieces: [(OutputStream, &[u8]); 4] = [
        (Stdout, b"GET /?private_to"),
        (Stdout, b"ken=abc"),
        (Stdout, b"def&x=1 glp"),
        (Stdout, b"at-123 ok\n"),
    ];
    let sent = sent(&settings, &pieces).await;
    assert_eq!(sent.text, "GET /?private_token=[MASKED]&x=1 glpat-[MASKED] ok\n");
}

#[tokio::test(start_paused = true)]
async fn lines_of_the_runner_are_masked_but_not_their_dress() {
    let server = Server::new();
    let settings = filter_settings(&["hunter2", "0", "section"]);
    let job = Job::start(&server, LogStorage::memory(), settings, SenderSettings::default()).await;
    job.log.section_start("get_sources", epoch()).await.unwrap();
    job.log.line(LineKind::Headline, "Fetching https://user:hunter2@host").await.unwrap();
    job.log.line(LineKind::Warning, "exit code 0").await.unwrap();
    job.log.section_end("get_sources", epoch()).await.unwrap();
    job.log.finish().await.unwrap();
    job.sender.finish(FinalState::Success).await;
    assert_eq!(
        server.text(),
        "section_start:1795428000:get_sources\r\x1b[0K\x1b[0K\x1b[36;1mFetching https://user:[MASKED]@host\x1b[0;m\x1b[0;m\n\
         \x1b[0;33mWARNING: exit code [MASKED]\x1b[0;m\n\
         section_end:1795428000:get_sources\r\x1b[0K"
    );
}

#[tokio::test(start_paused = true)]
async fn sections_are_written_only_if_the_server_wants_them() {
    let server = Server::new();
    let settings = FilterSettings { sections: false, ..filter_settings(&[]) };
    let job = Job::start(&server, LogStorage::memory(), settings, SenderSettings::default()).await;
    let entries = vec![
        Entry::SectionStart("x".into()),
        Entry::Line(LineKind::Plain, "text".into()),
        Entry::SectionEnd("x".into()),
    ];
    job.log.once("x", entries.clone()).await.unwrap();
    job.log.once("x", entries).await.unwrap();
    job.log.finish().await.unwrap();
    job.sender.finish(FinalState::Success).await;
    assert_eq!(server.text(), "\x1b[0Ktext\x1b[0;m\n");
}

#[tokio::test(start_paused = true)]
async fn scenario_67_with_timestamps_every_line_has_a_header_and_nothing_waits_for_its_end() {
    let server = Server::new();
    let settings = with_timestamps(&[], true);
    let mut job = Job::start(&server, LogStorage::memory(), settings, SenderSettings::default()).await;
    job.log.section_start("step_script", epoch()).await.unwrap();
    job.log.line(LineKind::Plain, "Executing").await.unwrap();
    for (stream, text) in [
        (Stdout, "10%\r"),
        (Stderr, "careful\n"),
        (Stdout, "20%\r"),
        (Stdout, "done\nnext: "),
        (Stdout, "no end"),
    ] {
        job.print_on(stream, text).await;
    }
    settle().await;
    let early = server.text();
    job.log.flush_stage(&stage()).await.unwrap();
    job.log.section_end("step_script", epoch()).await.unwrap();
    job.log.append(&StageKey::new(4, "after_script", 1), Frames::default().stdout("bye")).await.unwrap();
    job.log.finish().await.unwrap();
    job.sender.finish(FinalState::Success).await;
    let expected = "\
        2026-11-23T10:00:00.000000Z 00O section_start:1795428000:step_script\r\x1b[0K\n\
        2026-11-23T10:00:00.000000Z 00O+\x1b[0KExecuting\x1b[0;m\n\
        2026-11-23T10:00:00.000000Z 01O 10%\r\n\
        2026-11-23T10:00:00.004000Z 01E careful\n\
        2026-11-23T10:00:00.012000Z 01O+20%\r\n\
        2026-11-23T10:00:00.016000Z 01O+done\n\
        2026-11-23T10:00:00.016000Z 01O next: \n\
        2026-11-23T10:00:00.027000Z 01O+no end\n";
    assert_eq!(early, expected);
    let rest = "\
        2026-11-23T10:00:00.000000Z 00O section_end:1795428000:step_script\r\x1b[0K\n\
        2026-11-23T10:00:00.000000Z 01O bye\n";
    assert_eq!(server.text(), format!("{expected}{rest}"));
}

/// A weak point elsewhere: time stamps count towards the limit.
#[tokio::test(start_paused = true)]
async fn the_output_limit_counts_the_jobs_own_bytes() {
    for timestamps in [false, true] {
        let server = Server::new();
        let settings = FilterSettings { output_limit: 1000, ..with_timestamps(&[], timestamps) };
        let mut job = Job::start(&server, LogStorage::memory(), settings, SenderSettings::default()).await;
        for _ in 0..50 {
            job.log.line(LineKind::Plain, "a line of the runner").await.unwrap();
        }
        for i in 0..500 {
            job.print(format!("{i:03}\n")).await;
        }
        job.log.line(LineKind::Error, "Job failed").await.unwrap();
        job.log.finish().await.unwrap();
        job.sender.finish(FinalState::Success).await;
        let text = server.text();
        assert!(text.contains("248\n") && text.contains("249\n"), "250 lines of 4 bytes fit");
        assert!(!text.contains("250\n"), "{text}");
        assert_eq!(text.matches("limit of 1000 bytes").count(), 1);
        assert_eq!(text.matches("a line of the runner").count(), 50);
        assert!(text.contains("Job failed"), "the runner still has something to say");
        assert_eq!(job.log.offset(&stage()), 2000, "what is not kept is followed all the same");
    }
}

#[tokio::test(start_paused = true)]
async fn invalid_utf8_is_replaced_and_cut_characters_are_joined() {
    let settings = filter_settings(&[]);
    let pieces: [(OutputStream, &[u8]); 5] = [
        (Stdout, b"a\xe2"),
        (Stderr, b"b\xff"),
        (Stdout, b"\x82\xacc"),
        (Stdout, b"\xf0\x9f"),
        (Stdout, b"d"),
    ];
    assert_eq!(sent(&settings, &pieces).await.text, "ab\u{fffd}€c\u{fffd}d");
}

#[tokio::test(start_paused = true)]
async fn what_was_held_back_goes_out_when_the_stage_ends() {
    let server = Server::new();
    let mut job =
        Job::start(&server, LogStorage::memory(), filter_settings(&["secret"]), SenderSettings::default())
            .await;
    job.print("half a sec").await;
    sleep(Duration::from_secs(5)).await;
    assert_eq!(server.text(), "half a ");
    job.log.flush_stage(&stage()).await.unwrap();
    job.log.line(LineKind::Plain, "next").await.unwrap();
    settle().await;
    assert_eq!(server.text(), "half a sec\x1b[0Knext\x1b[0;m\n");
}

/// A disk that takes a write only when it is told to.
#[derive(Debug)]
struct SlowDisk {
    inner: MemorySpool,
    writes: Semaphore,
}

#[async_trait]
impl Spool for SlowDisk {
    async fn append(&self, bytes: Bytes) -> io::Result<()> {
        self.writes.acquire().await.map_err(io::Error::other)?.forget();
        self.inner.append(bytes).await
    }
    async fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        self.inner.read(range).await
    }
    async fn truncate(&self, len: u64) -> io::Result<()> {
        self.inner.truncate(len).await
    }
    async fn length(&self) -> io::Result<u64> {
        self.inner.length().await
    }
    async fn sync(&self) -> io::Result<()> {
        Ok(())
    }
    async fn remove(&self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_disk_slows_the_output_and_not_the_memory() {
    let disk = Arc::new(SlowDisk { inner: MemorySpool::default(), writes: Semaphore::new(0) });
    let storage = LogStorage { spool: disk.clone(), checkpoints: Arc::new(MemoryCheckpoints::default()) };
    let server = Server::new();
    let mut job = Job::start(&server, storage, filter_settings(&[]), SenderSettings::default()).await;
    let mut taken = 0usize;
    while tokio::time::timeout(Duration::from_secs(60), job.print(vec![b'x'; 64 * 1024])).await.is_ok() {
        taken += 64 * 1024;
        assert!(taken < 4 << 20, "more than 4 MiB wait");
    }
    assert!(taken >= 1 << 20, "{taken}");
    assert!(server.puts().len() >= 2, "the keep-alive does not wait for the disk");
    disk.writes.add_permits(1_000_000);
    job.log.finish().await.unwrap();
    assert_eq!(job.sender.finish(FinalState::Success).await, Delivery::Delivered);
    assert_eq!(server.trace().len(), taken);
}

/// A disk that is full.
#[derive(Debug)]
struct FullDisk;

#[async_trait]
impl Spool for FullDisk {
    async fn append(&self, _bytes: Bytes) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }
    async fn read(&self, _range: Range<u64>) -> io::Result<Bytes> {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
    async fn truncate(&self, _len: u64) -> io::Result<()> {
        Ok(())
    }
    async fn length(&self) -> io::Result<u64> {
        Ok(0)
    }
    async fn sync(&self) -> io::Result<()> {
        Ok(())
    }
    async fn remove(&self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_is_told_to_whoever_appends() {
    let storage =
        LogStorage { spool: Arc::new(FullDisk), checkpoints: Arc::new(MemoryCheckpoints::default()) };
    let server = Server::new();
    let mut job = Job::start(&server, storage, filter_settings(&[]), SenderSettings::default()).await;
    job.print("hello\n").await;
    let error = job.log.commit().await.unwrap_err();
    assert!(matches!(error, LogError::Storage { .. }), "{error}");
    assert!(matches!(job.log.line(LineKind::Plain, "x").await, Err(LogError::Storage { .. })));
    assert!(matches!(job.log.broken().await, LogError::Storage { .. }));
    // What was taken and the last words are sent all the same.
    job.log.last_line(LineKind::Error, "the disk is full").await.unwrap();
    job.log.finish().await.unwrap();
    assert_eq!(job.sender.finish(FinalState::Success).await, Delivery::Delivered);
    let trace = server.trace();
    assert_eq!(String::from_utf8_lossy(&trace), "hello\n\u{1b}[31;1mERROR: the disk is full\u{1b}[0;m\n");
}

fn frames(pieces: &[(bool, String)]) -> Vec<OutputFrame> {
    let mut frames = Frames::default();
    pieces
        .iter()
        .map(|(stderr, text)| frames.next(if *stderr { Stderr } else { Stdout }, text.clone()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_value_is_ever_in_the_log_or_in_a_stream_of_it(
        secrets in prop::collection::vec("[ab]{2,5}|[abc\n]{3,6}", 1..4),
        pieces in prop::collection::vec((any::<bool>(), "[ab]{1,5}|[abc\n]{1,6}"), 1..12),
        timestamps in any::<bool>(),
    ) {
        let secrets: Vec<&str> = secrets.iter().map(|secret| secret.trim()).filter(|secret| secret.len() > 1).collect();
        let rules = MaskRules::new(secrets.iter().copied(), [], true);
        let settings = FilterSettings { rules, output_limit: 1 << 20, timestamps, sections: true };
        let mut filter = Filter::new(settings.clone());
        let mut log = Vec::new();
        for frame in frames(&pieces) {
            filter.push(frame.stream, frame.time, &frame.bytes, &mut log);
            filter.end_frame(frame.stream, &mut log);
            let state = serde_json::to_string(&filter.state()).unwrap();
            filter = Filter::restore(settings.clone(), serde_json::from_str(&state).unwrap());
        }
        filter.finish(&mut log);
        let sent = Sent { bodies: Vec::new(), text: String::from_utf8(log).unwrap(), timestamps };
        for (_, text) in sent.streams() {
            for part in text.split("[MASKED]") {
                for secret in &secrets {
                    prop_assert!(!part.contains(secret), "{:?} in {:?}", secret, sent.text);
                }
            }
        }
    }
}
