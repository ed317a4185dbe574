//! What is left of a log when the manager is killed: wherever that happens, the server ends up with the same bytes as if
//! nothing had happened.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod log_support;

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use log_support::{Fault, Frames, Job, Server, epoch, filter_settings, settle, stage};
use runner_api::{JobUpdate, PatchResult, UpdateResult};
use runner_core::executor::{OutputFrame, StageKey};
use runner_core::log::{
    CheckpointStore, Delivery, Entry, FilterSettings, FinalState, JobLog, LineKind, LogError, LogStorage,
    MemoryCheckpoints, MemorySpool, Reply, SenderSettings, Spool, TraceApi, TraceSender,
};
use runner_core::time::Clock;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Burns down with every effect that the process has outside. Once it is burnt, the process is dead: nothing has an effect
/// any more and nothing returns.
#[derive(Debug, Clone)]
struct Fuse {
    left: Arc<AtomicUsize>,
    /// Whether the last effect takes place before the process dies.
    after: bool,
}

impl Fuse {
    fn new(left: usize, after: bool) -> Self {
        Self { left: Arc::new(AtomicUsize::new(left)), after }
    }

    fn is_burnt(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }

    async fn guard<T>(&self, effect: impl Future<Output = T>) -> T {
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match left {
            Err(_) => std::future::pending().await,
            Ok(1) => {
                if self.after {
                    effect.await;
                }
                std::future::pending().await
            }
            Ok(_) => effect.await,
        }
    }
}

#[derive(Debug)]
struct Mortal<T> {
    inner: T,
    fuse: Fuse,
}

#[async_trait]
impl Spool for Mortal<MemorySpool> {
    async fn append(&self, bytes: Bytes) -> io::Result<()> {
        self.fuse.guard(self.inner.append(bytes)).await
    }
    async fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        self.inner.read(range).await
    }
    async fn truncate(&self, len: u64) -> io::Result<()> {
        self.fuse.guard(self.inner.truncate(len)).await
    }
    async fn length(&self) -> io::Result<u64> {
        self.inner.length().await
    }
    async fn sync(&self) -> io::Result<()> {
        self.inner.sync().await
    }
    async fn remove(&self) -> io::Result<()> {
        self.inner.remove().await
    }
}

#[async_trait]
impl CheckpointStore for Mortal<MemoryCheckpoints> {
    async fn save(&self, checkpoint: Bytes) -> io::Result<()> {
        // Slow: a sender that did not wait for it would be faster.
        sleep(Duration::from_millis(20)).await;
        self.fuse.guard(self.inner.save(checkpoint)).await
    }
    async fn load(&self) -> io::Result<Option<Bytes>> {
        self.inner.load().await
    }
    async fn sync(&self) -> io::Result<()> {
        self.inner.sync().await
    }
    async fn remove(&self) -> io::Result<()> {
        self.inner.remove().await
    }
}

#[async_trait]
impl TraceApi for Mortal<Server> {
    async fn patch(&self, offset: u64, piece: Bytes, debug: bool) -> Reply<PatchResult> {
        self.fuse.guard(self.inner.patch(offset, piece, debug)).await
    }
    async fn update(&self, update: &JobUpdate) -> Reply<UpdateResult> {
        self.fuse.guard(self.inner.update(update)).await
    }
}

/// Time in the log must not tell one life from the next.
#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> SystemTime {
        epoch()
    }
}

/// What outlives the process.
#[derive(Debug, Clone)]
struct World {
    server: Server,
    spool: MemorySpool,
    checkpoints: MemoryCheckpoints,
    stages: Vec<(StageKey, Vec<OutputFrame>)>,
    settings: FilterSettings,
    /// Told when the log is open.
    late: &'static [&'static str],
}

impl World {
    /// The same, but that there is a secret is only learnt when the job has begun.
    fn with_late_secret(timestamps: bool) -> Self {
        let mut settings = filter_settings(&[]);
        settings.timestamps = timestamps;
        Self { settings, late: &["aab-secret-value"], ..Self::new(timestamps) }
    }

    fn new(timestamps: bool) -> Self {
        let secret = "aab-secret-value";
        let mut fetch = Frames::default();
        let mut script = Frames::default();
        let mut after = Frames::default();
        let stages = vec![
            (
                StageKey::new(1, "get_sources", 1),
                vec![fetch.stderr("Fetching\n"), fetch.stdout("HEAD is now")],
            ),
            (
                StageKey::new(2, "step_script", 1),
                vec![
                    script.stdout("a"),
                    script.stdout("aab-sec"),
                    script.stderr("+ noise aab-"),
                    script.stdout("ret-va"),
                    script.stderr("secret-value\n"),
                    script.stdout("lue and "),
                    script.stdout(vec![0xe2, 0x82]),
                    script.stdout(vec![0xac, b'\n', b'a', b'a']),
                ],
            ),
            (
                StageKey::new(3, "after_script", 1),
                vec![after.stdout("b-secret-value\n"), after.stdout("bye aab")],
            ),
        ];
        let mut settings = filter_settings(&[secret]);
        settings.timestamps = timestamps;
        Self {
            server: Server::new(),
            spool: MemorySpool::default(),
            checkpoints: MemoryCheckpoints::default(),
            stages,
            settings,
            late: &[],
        }
    }

    /// One life of the manager: does what is left of the job. `None`: it was killed.
    async fn live(&self, fuse: &Fuse) -> Option<Delivery> {
        let storage = LogStorage {
            spool: Arc::new(Mortal { inner: self.spool.clone(), fuse: fuse.clone() }),
            checkpoints: Arc::new(Mortal { inner: self.checkpoints.clone(), fuse: fuse.clone() }),
        };
        let api = Arc::new(Mortal { inner: self.server.clone(), fuse: fuse.clone() });
        let mut tasks = JoinSet::new();
        let life = async {
            let (log, task) = JobLog::open(storage, self.settings.clone(), Arc::new(Stopped)).await.unwrap();
            tasks.spawn(task.run());
            let (sender, task) = TraceSender::new(api, &log, SenderSettings::default());
            tasks.spawn(task.run());
            log.once("head", vec![Entry::Line(LineKind::Plain, "Running".into())]).await.unwrap();
            log.mask_also(self.late.iter().map(|&secret| secret.into())).await.unwrap();
            for (stage, frames) in &self.stages {
                let head = [
                    Entry::SectionStart(stage.name.clone()),
                    Entry::Line(LineKind::Headline, format!("Executing {stage}, aab-secret-value")),
                ];
                log.once(&format!("{stage} begins"), head.to_vec()).await.unwrap();
                let from = log.offset(stage);
                for frame in frames.iter().filter(|frame| frame.offset >= from) {
                    log.append(stage, frame.clone()).await.unwrap();
                    sleep(Duration::from_millis(700)).await;
                }
                log.flush_stage(stage).await.unwrap();
                log.once(&format!("{stage} ends"), vec![Entry::SectionEnd(stage.name.clone())])
                    .await
                    .unwrap();
            }
            log.once("tail", vec![Entry::Line(LineKind::Info, "Job succeeded".into())]).await.unwrap();
            log.finish().await.unwrap();
            sender.finish(FinalState::Success).await
        };
        tokio::select! {
            biased;
            delivery = life => Some(delivery),
            () = async {
                while !fuse.is_burnt() {
                    sleep(Duration::from_millis(10)).await;
                }
                // What does not depend on a dead effect comes to rest.
                sleep(Duration::from_secs(100)).await;
            } => None,
        }
    }
}

async fn uninterrupted(world: World) -> (String, usize) {
    let fuse = Fuse::new(usize::MAX, true);
    assert_eq!(world.live(&fuse).await, Some(Delivery::Delivered));
    let effects = usize::MAX - fuse.left.load(Ordering::SeqCst);
    (world.server.text(), effects)
}

#[tokio::test(start_paused = true)]
async fn killed_after_any_effect_the_log_is_that_of_an_uninterrupted_job() {
    let cases = [false, true]
        .map(|timestamps| [(timestamps, World::new as fn(_) -> _), (timestamps, World::with_late_secret)]);
    for (timestamps, world) in cases.into_iter().flatten() {
        let (expected, effects) = uninterrupted(world(timestamps)).await;
        assert!(effects > 30, "{effects}");
        assert!(!expected.contains("aab-secret-value"), "{expected}");
        let masked = if timestamps { "01O+[MASKED]" } else { "noise [MASKED]" };
        assert!(expected.contains(masked), "{expected}");
        for after in [false, true] {
            for kill in 1..=effects {
                let world = world(timestamps);
                let first = world.live(&Fuse::new(kill, after)).await;
                assert_eq!(first, None, "killed at effect {kill}");
                let second = world.live(&Fuse::new(kill % 7 + 1, after)).await;
                if second.is_none() {
                    let third = world.live(&Fuse::new(usize::MAX, after)).await;
                    assert_eq!(third, Some(Delivery::Delivered), "killed at effect {kill}");
                }
                assert_eq!(world.server.text(), expected, "killed at effect {kill} (after it: {after})");
                let (_, end) = world.server.ends().last().cloned().unwrap();
                assert_eq!(
                    end.output.unwrap().checksum(),
                    format!("crc32:{:08x}", crc32fast::hash(expected.as_bytes()))
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_sender_never_sees_bytes_that_no_checkpoint_covers() {
    let world = World::new(false);
    for kill in 1..40 {
        let world = World {
            server: Server::new(),
            spool: MemorySpool::default(),
            checkpoints: MemoryCheckpoints::default(),
            ..world.clone()
        };
        world.live(&Fuse::new(kill, true)).await;
        let covered = match world.checkpoints.contents() {
            Some(bytes) => {
                serde_json::from_slice::<serde_json::Value>(&bytes).unwrap()["spool_len"].as_u64().unwrap()
            }
            None => 0,
        };
        let sent = world.server.patches().iter().map(|patch| patch.1 + patch.2 as u64).max().unwrap_or(0);
        assert!(sent <= covered, "killed at effect {kill}: sent {sent}, covered {covered}");
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_are_published_only_when_their_checkpoint_is_written() {
    let fuse = Fuse::new(usize::MAX, true);
    let checkpoints = MemoryCheckpoints::default();
    let storage = LogStorage {
        spool: Arc::new(MemorySpool::default()),
        checkpoints: Arc::new(Mortal { inner: checkpoints.clone(), fuse }),
    };
    let (log, task) = JobLog::open(storage, filter_settings(&[]), Arc::new(Stopped)).await.unwrap();
    tokio::spawn(task.run());
    log.append(&stage(), Frames::default().stdout("hello")).await.unwrap();
    log.reader().beyond(0).await;
    let checkpoint = checkpoints.contents().expect("a checkpoint");
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&checkpoint).unwrap()["spool_len"], 5);
}

#[tokio::test(start_paused = true)]
async fn a_recovered_log_gets_a_last_line_and_is_delivered() {
    let storage = LogStorage::memory();
    let server = Server::new();
    let mut job = Job::start(&server, storage.clone(), filter_settings(&[]), SenderSettings::default()).await;
    job.print("first\n").await;
    settle().await;
    job.print("second\n").await;
    job.log.commit().await.unwrap();
    drop(job);
    assert_eq!(server.text(), "first\n");

    let mut job = Job::start(&server, storage, filter_settings(&[]), SenderSettings::default()).await;
    assert_eq!(job.log.offset(&stage()), 13);
    job.print("third\n").await;
    job.log.line(LineKind::Error, "the runner was restarted").await.unwrap();
    job.log.finish().await.unwrap();
    assert_eq!(job.sender.finish(FinalState::Success).await, Delivery::Delivered);
    assert_eq!(server.text(), "first\nsecond\nthird\n\x1b[31;1mERROR: the runner was restarted\x1b[0;m\n");
    let probe = server.patches()[1];
    assert_eq!((probe.1, probe.2), (0, 1), "what the server has is asked for with a single byte");
    job.log.remove().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_lost_everything_meanwhile_gets_everything() {
    let storage = LogStorage::memory();
    let server = Server::new();
    let mut job = Job::start(&server, storage.clone(), filter_settings(&[]), SenderSettings::default()).await;
    job.print("0123456789\n").await;
    settle().await;
    drop(job);
    server.lose_all_but(0);
    let job = Job::start(&server, storage, filter_settings(&[]), SenderSettings::default()).await;
    job.log.finish().await.unwrap();
    assert_eq!(job.sender.finish(FinalState::Success).await, Delivery::Delivered);
    assert_eq!(server.text(), "0123456789\n");
}

#[tokio::test(start_paused = true)]
async fn the_last_line_comes_once_in_all_lives() {
    let storage = LogStorage::memory();
    let server = Server::new();
    let job = Job::start(&server, storage.clone(), filter_settings(&[]), SenderSettings::default()).await;
    job.log.last_line(LineKind::Info, "Job succeeded").await.unwrap();
    job.log.commit().await.unwrap();
    drop(job);
    let job = Job::start(&server, storage, filter_settings(&[]), SenderSettings::default()).await;
    job.log.last_line(LineKind::Info, "Job succeeded").await.unwrap();
    job.log.finish().await.unwrap();
    assert_eq!(job.sender.finish(FinalState::Success).await, Delivery::Delivered);
    assert_eq!(server.text(), "\x1b[32;1mJob succeeded\x1b[0;m\n");
}

#[tokio::test(start_paused = true)]
async fn gaps_are_refused_and_duplicates_ignored() {
    let server = Server::new();
    let job = Job::simple(&server).await;
    let mut frames = Frames::default();
    let (a, b, c) = (frames.stdout("a"), frames.stdout("b"), frames.stdout("c"));
    job.log.append(&stage(), a.clone()).await.unwrap();
    let gap = job.log.append(&stage(), c.clone()).await.unwrap_err();
    assert!(gap.is_gap());
    assert!(matches!(gap, LogError::Gap { expected: 1, found: 2, .. }));
    for frame in [a.clone(), b.clone(), a, b, c] {
        job.log.append(&stage(), frame).await.unwrap();
    }
    assert_eq!(job.log.offset(&stage()), 3);
    let other = StageKey::new(4, "after_script", 1);
    assert_eq!(job.log.offset(&other), 0);
    job.log.append(&other, Frames::default().stdout("d")).await.unwrap();
    job.log.finish().await.unwrap();
    job.sender.finish(FinalState::Success).await;
    assert_eq!(server.text(), "abcd");
}

#[tokio::test]
async fn files_are_private_and_continued() {
    use std::os::unix::fs::PermissionsExt;

    let state = tempfile::tempdir().unwrap();
    let folder = state.path().join("jobs/42");
    let server = Server::new();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let big = vec![b'x'; 3 << 20];

    let storage = LogStorage::files(&folder).await.unwrap();
    let mut job = Job::start(&server, storage, filter_settings(&["secret"]), SenderSettings::default()).await;
    job.print("a sec").await;
    job.print("ret, ").await;
    job.print(big.clone()).await;
    job.print("sec").await;
    job.log.sync().await.unwrap();
    drop(job);
    let names: BTreeSet<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, BTreeSet::from(["log.checkpoint".into(), "log.spool".into()]));
    assert_eq!(mode(&folder), 0o700);
    assert!(names.iter().all(|name| mode(&folder.join(name)) == 0o600));

    // What was appended behind the checkpoint is cut off.
    let spool = folder.join("log.spool");
    let mut bytes = std::fs::read(&spool).unwrap();
    bytes.extend_from_slice(b"half a wri");
    std::fs::write(&spool, &bytes).unwrap();

    let storage = LogStorage::files(&folder).await.unwrap();
    let mut job = Job::start(&server, storage, filter_settings(&["secret"]), SenderSettings::default()).await;
    job.print("ret").await;
    job.log.finish().await.unwrap();
    assert_eq!(job.sender.finish(FinalState::Success).await, Delivery::Delivered);
    let expected = [b"a [MASKED], ".as_slice(), &big, b"[MASKED]"].concat();
    assert!(server.trace() == expected);
    job.log.remove().await.unwrap();
    drop(job);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}

#[tokio::test]
async fn a_log_that_does_not_fit_its_checkpoint_is_not_continued() {
    let (spool, checkpoints) = (MemorySpool::default(), MemoryCheckpoints::default());
    let storage = LogStorage { spool: Arc::new(spool.clone()), checkpoints: Arc::new(checkpoints.clone()) };
    let server = Server::new();
    let mut job = Job::start(&server, storage, filter_settings(&[]), SenderSettings::default()).await;
    job.print("hello").await;
    job.log.commit().await.unwrap();
    drop(job);
    let newer = String::from_utf8(checkpoints.contents().unwrap().to_vec())
        .unwrap()
        .replace("\"version\":1", "\"version\":2");
    for (bytes, checkpoint, problem) in [
        (b"hell".to_vec(), checkpoints.contents(), "4 bytes of 5"),
        (b"help!".to_vec(), checkpoints.contents(), "checksum"),
        (b"hello".to_vec(), Some(newer.into()), "version 2"),
        (b"hello".to_vec(), Some("{".into()), "EOF"),
    ] {
        let storage = LogStorage {
            spool: Arc::new(MemorySpool::with(bytes)),
            checkpoints: Arc::new(MemoryCheckpoints::with(checkpoint)),
        };
        let error = JobLog::open(storage, filter_settings(&[]), Arc::new(Stopped)).await.unwrap_err();
        assert!(matches!(error, LogError::Corrupt { .. }) && error.to_string().contains(problem), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_lost_patch_does_not_double_bytes_after_a_restart() {
    let storage = LogStorage::memory();
    let server = Server::new();
    server.fail_patches([Fault::AnswerLost]);
    let mut job = Job::start(&server, storage.clone(), filter_settings(&[]), SenderSettings::default()).await;
    job.print("hello\n").await;
    settle().await;
    drop(job);
    let job = Job::start(&server, storage, filter_settings(&[]), SenderSettings::default()).await;
    job.log.finish().await.unwrap();
    assert_eq!(job.sender.finish(FinalState::Success).await, Delivery::Delivered);
    assert_eq!(server.text(), "hello\n");
}
