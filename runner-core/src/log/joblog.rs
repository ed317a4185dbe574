//! The log of one job, as the job's run sees it.
//!
//! ```text
//!  run ── append, line, section ──► queue (1 MiB) ──► LogTask: filter ─► spool ─► checkpoint ─► published
//!                                                                                                  │
//!                                                     sender ◄── bytes up to the published length ─┘
//! ```
//!
//! The task alone owns filter and spool. It writes a checkpoint whenever the sender has nothing left to send, or somebody
//! asks for one: the cost of checkpoints goes with the number of requests, not with the amount of output.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use secrecy::SecretString;
use tokio::sync::{Notify, Semaphore, SetOnce, mpsc, oneshot, watch};

use super::error::LogError;
use super::filter::FilterSettings;
use super::offsets::Offsets;
use super::reader::LogReader;
use super::storage::LogStorage;
use super::style::LineKind;
use super::tail::Tail;
use super::task::{Command, LogTask};
use crate::executor::{OutputFrame, StageKey};
use crate::time::Clock;

/// Bytes of output that may wait for the task, and about as many are kept when the disk fails. With what the task itself holds, a job's log takes less than 4 MiB of memory.
pub(super) const QUEUE_BYTES: usize = 1024 * 1024;

/// Commands that may wait for the task.
const QUEUE_COMMANDS: usize = 1024;

/// Name of the last line among what is written once.
const LAST_LINE: &str = "last line";

/// Something that the runner writes into the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A line; may hold line ends.
    Line(LineKind, String),
    /// The marker that begins the named section.
    SectionStart(String),
    /// The marker that ends it.
    SectionEnd(String),
}

/// How much of the log may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Bytes from the beginning; they never change again.
    pub len: u64,
    /// CRC32 (IEEE) of these bytes.
    pub crc32: u32,
}

/// The log of one job. Clones write to the same log; when the last one is dropped, the task ends.
///
/// ```
/// # use std::sync::Arc;
/// # use std::time::SystemTime;
/// use runner_core::executor::{OutputFrame, OutputStream, StageKey};
/// use runner_core::log::{FilterSettings, JobLog, LineKind, LogStorage, MaskRules};
/// use runner_core::time::SystemClock;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let rules = MaskRules::new(["hunter2"], [], true);
/// let settings = FilterSettings { rules, output_limit: 1 << 20, timestamps: false, sections: true };
/// let storage = LogStorage::memory();
/// let (log, task) = JobLog::open(storage.clone(), settings, Arc::new(SystemClock)).await?;
/// tokio::spawn(task.run());
///
/// let stage = StageKey::new(0, "step_script", 1);
/// log.line(LineKind::Plain, "Running").await?;
/// let time = SystemTime::now();
/// let frame = OutputFrame { offset: 0, end: 8, time, stream: OutputStream::Stdout, bytes: "hunter2\n".into() };
/// log.append(&stage, frame).await?;
/// log.flush_stage(&stage).await?;
/// let all = log.finish().await?;
/// assert_eq!(storage.spool.read(0..all.len).await?, "\x1b[0KRunning\x1b[0;m\n[MASKED]\n");
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct JobLog {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
}

/// What handles, task and sender share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) storage: LogStorage,
    pub(super) published: watch::Sender<Published>,
    /// The sender waits for the log to become longer than `wanted_beyond`.
    pub(super) wanted: Notify,
    pub(super) wanted_beyond: AtomicU64,
    /// Room in the queue, in bytes. Closed when the storage has failed.
    pub(super) room: Arc<Semaphore>,
    /// Why the storage has failed.
    failure: SetOnce<Arc<std::io::Error>>,
    /// What the storage did not take.
    tail: Mutex<Option<Tail>>,
    /// What was accepted, the queue included.
    accepted: Mutex<Accepted>,
    /// Length of the log when it was opened: so much another sender may have sent.
    pub(super) recovered: u64,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Default)]
struct Accepted {
    sources: Offsets,
    written: BTreeSet<String>,
}

impl JobLog {
    /// Opens the log in `storage`: a new one, or after a restart the one that is there, cut back to its last checkpoint.
    /// The settings must then be the same as before. Nothing is written before the returned task runs.
    ///
    /// # Errors
    ///
    /// [`LogError::Storage`], and [`LogError::Corrupt`] if what is there cannot be continued.
    pub async fn open(
        storage: LogStorage,
        settings: FilterSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, LogTask), LogError> {
        let (commands, queue) = mpsc::channel(QUEUE_COMMANDS);
        let task = LogTask::open(&storage, settings, queue).await?;
        let published = task.position();
        let shared = Arc::new(Shared {
            storage,
            published: watch::Sender::new(published),
            wanted: Notify::new(),
            wanted_beyond: AtomicU64::new(0),
            room: Arc::new(Semaphore::new(QUEUE_BYTES)),
            failure: SetOnce::new(),
            tail: Mutex::new(None),
            accepted: Mutex::new(Accepted {
                sources: task.sources().clone(),
                written: task.written().clone(),
            }),
            recovered: published.len,
            clock,
        });
        Ok((Self { shared: shared.clone(), commands }, task.with_shared(shared)))
    }

    /// Takes the next piece of a stage's output. A piece that was taken before is ignored. Waits while the queue is full:
    /// this is what slows a job down whose output comes faster than the disk takes it. Cancel-safe: dropped while it
    /// waits, the piece was not taken.
    ///
    /// # Errors
    ///
    /// [`LogError::Gap`] if the piece does not begin where the last one ended: follow the stage again from
    /// [`offset`](Self::offset). [`LogError::Storage`] or [`LogError::Closed`] if the log cannot be written any more.
    pub async fn append(&self, stage: &StageKey, frame: OutputFrame) -> Result<(), LogError> {
        self.enqueue(frame.bytes.len(), |accepted| {
            let expected = accepted.sources.get(stage);
            if frame.end <= expected {
                return Ok(None);
            }
            if frame.offset != expected {
                return Err(LogError::Gap { stage: stage.clone(), expected, found: frame.offset });
            }
            let stage = accepted.sources.set(stage, frame.end);
            Ok(Some(Work::Frame(stage, frame)))
        })
        .await
    }

    /// Writes a line. It has its place behind what was appended before.
    ///
    /// # Errors
    ///
    /// [`LogError::Storage`] or [`LogError::Closed`].
    pub async fn line(&self, kind: LineKind, text: impl Into<String>) -> Result<(), LogError> {
        self.entries(None, vec![Entry::Line(kind, text.into())], self.shared.clock.now()).await
    }

    /// Writes the log's last line, which is taken even when the log cannot be kept any more: it says why. The first one counts,
    /// in whatever life of the manager.
    ///
    /// # Errors
    ///
    /// [`LogError::Closed`] if the task behind the log is gone.
    pub async fn last_line(&self, kind: LineKind, text: impl Into<String>) -> Result<(), LogError> {
        let (entries, time) = (vec![Entry::Line(kind, text.into())], self.shared.clock.now());
        let slot = self.commands.reserve().await.map_err(|_| self.shared.error())?;
        if self.shared.accepted().written.insert(LAST_LINE.to_owned()) {
            slot.send(Command::Entries { name: Some(LAST_LINE.to_owned()), entries, time, room: None });
        }
        Ok(())
    }

    /// Waits until the log cannot be kept any more, and says why: the disk is full, the folder is gone. A job that prints
    /// nothing would not get to know otherwise. Never returns while all is well. Cancel-safe.
    pub async fn broken(&self) -> LogError {
        LogError::Storage { source: self.shared.failure.wait().await.clone() }
    }

    /// Begins a section at `time`, if the server wants sections.
    ///
    /// # Errors
    ///
    /// [`LogError::Storage`] or [`LogError::Closed`].
    pub async fn section_start(&self, name: &str, time: SystemTime) -> Result<(), LogError> {
        self.entries(None, vec![Entry::SectionStart(name.to_owned())], time).await
    }

    /// Ends a section at `time`, if the server wants sections.
    ///
    /// # Errors
    ///
    /// [`LogError::Storage`] or [`LogError::Closed`].
    pub async fn section_end(&self, name: &str, time: SystemTime) -> Result<(), LogError> {
        self.entries(None, vec![Entry::SectionEnd(name.to_owned())], time).await
    }

    /// Writes entries that belong together, unless entries were written under this `name` before, in whatever life of the
    /// manager: a run that goes on after a restart may repeat its steps without repeating itself in the log.
    ///
    /// # Errors
    ///
    /// [`LogError::Storage`] or [`LogError::Closed`].
    pub async fn once(&self, name: &str, entries: Vec<Entry>) -> Result<(), LogError> {
        self.entries(Some(name), entries, self.shared.clock.now()).await
    }

    /// The stage has ended and all its output was appended: what was held back of it is let out. Does nothing if output of
    /// another stage came since: that ends a stage as well.
    ///
    /// # Errors
    ///
    /// [`LogError::Storage`] or [`LogError::Closed`].
    pub async fn flush_stage(&self, stage: &StageKey) -> Result<(), LogError> {
        self.send(Command::Flush { stage: stage.clone() }).await
    }

    /// From here on `values` are masked, too, also after a restart: once this returns, the change is written down. Meant for
    /// values that are known only when the job's place is; what came before is not masked again. Values that are masked
    /// already change nothing, so that a run that goes on after a restart may say them again.
    ///
    /// # Errors
    ///
    /// [`LogError::Storage`] or [`LogError::Closed`].
    pub async fn mask_also(&self, values: impl IntoIterator<Item = SecretString>) -> Result<(), LogError> {
        let values: Vec<SecretString> = values.into_iter().collect();
        if values.is_empty() {
            return Ok(());
        }
        self.ask(|answer| Command::Mask { values, answer }).await.map(drop)
    }

    /// Where to follow a stage from: the end of what was appended.
    pub fn offset(&self, stage: &StageKey) -> u64 {
        self.shared.accepted().sources.get(stage)
    }

    /// Everything so far survives the end of this process, once this returns.
    ///
    /// # Errors
    ///
    /// [`LogError::Storage`] or [`LogError::Closed`].
    pub async fn commit(&self) -> Result<Published, LogError> {
        self.ask(Command::Commit).await
    }

    /// Everything so far survives the end of this machine, once this returns. For when a job is accepted and when it
    /// ends.
    ///
    /// # Errors
    ///
    /// [`LogError::Storage`] or [`LogError::Closed`].
    pub async fn sync(&self) -> Result<Published, LogError> {
        let published = self.ask(Command::Save).await?;
        // Not by the task: a large log takes its time, and the sender is not to wait for it.
        self.shared.storage.spool.sync().await?;
        self.shared.storage.checkpoints.sync().await?;
        Ok(published)
    }

    /// Lets everything out that is held back, for the sender to send. The log as it is then, with what the storage did not
    /// take any more: that is sent from memory.
    ///
    /// # Errors
    ///
    /// [`LogError::Closed`] if the task behind the log is gone.
    pub async fn finish(&self) -> Result<Published, LogError> {
        self.answer(Command::Finish).await
    }

    /// Deletes the log, once it is delivered. What is written after that is dropped.
    ///
    /// # Errors
    ///
    /// [`LogError::Storage`] or [`LogError::Closed`].
    pub async fn remove(&self) -> Result<(), LogError> {
        let (answer, answered) = oneshot::channel();
        self.send(Command::Remove(answer)).await?;
        Ok(answered.await.map_err(|_| self.shared.error())??)
    }

    /// What a sender reads from.
    pub fn reader(&self) -> LogReader {
        LogReader::new(self.shared.clone(), self.commands.downgrade())
    }

    async fn entries(
        &self,
        name: Option<&str>,
        entries: Vec<Entry>,
        time: SystemTime,
    ) -> Result<(), LogError> {
        let size = entries.iter().map(Entry::size).sum();
        self.enqueue(size, |accepted| {
            if name.is_some_and(|name| !accepted.written.insert(name.to_owned())) {
                return Ok(None);
            }
            Ok(Some(Work::Entries(name.map(str::to_owned), entries, time)))
        })
        .await
    }

    /// Waits for room, then decides and puts the work into the queue in one step, so that nobody comes in between.
    async fn enqueue(
        &self,
        size: usize,
        decide: impl FnOnce(&mut Accepted) -> Result<Option<Work>, LogError>,
    ) -> Result<(), LogError> {
        let size = u32::try_from(size.clamp(1, QUEUE_BYTES)).unwrap_or(1);
        let room =
            self.shared.room.clone().acquire_many_owned(size).await.map_err(|_| self.shared.error())?;
        let slot = self.commands.reserve().await.map_err(|_| self.shared.error())?;
        let mut accepted = self.shared.accepted();
        match decide(&mut accepted)? {
            Some(Work::Frame(stage, frame)) => slot.send(Command::Frame { stage, frame, room }),
            Some(Work::Entries(name, entries, time)) => {
                slot.send(Command::Entries { name, entries, time, room: Some(room) });
            }
            None => {}
        }
        Ok(())
    }

    /// An answer of the task, good as long as what it writes is kept.
    async fn ask(
        &self,
        command: impl FnOnce(oneshot::Sender<Published>) -> Command,
    ) -> Result<Published, LogError> {
        let answer = self.answer(command).await?;
        if self.shared.has_failed() { Err(self.shared.error()) } else { Ok(answer) }
    }

    async fn answer(
        &self,
        command: impl FnOnce(oneshot::Sender<Published>) -> Command,
    ) -> Result<Published, LogError> {
        let (answer, answered) = oneshot::channel();
        self.send(command(answer)).await?;
        answered.await.map_err(|_| self.shared.error())
    }

    async fn send(&self, command: Command) -> Result<(), LogError> {
        self.commands.send(command).await.map_err(|_| self.shared.error())
    }
}

enum Work {
    Frame(Arc<StageKey>, OutputFrame),
    Entries(Option<String>, Vec<Entry>, SystemTime),
}

impl Entry {
    fn size(&self) -> usize {
        match self {
            Self::Line(_, text) | Self::SectionStart(text) | Self::SectionEnd(text) => text.len(),
        }
    }
}

impl Shared {
    fn accepted(&self) -> std::sync::MutexGuard<'_, Accepted> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The storage took what lies before `at` and takes nothing any more: nobody waits for it.
    pub(super) fn fail(&self, error: std::io::Error, at: u64) {
        self.tail().get_or_insert_with(|| Tail::new(at));
        // There is one task, and it fails once.
        let _ = self.failure.set(Arc::new(error));
        self.room.close();
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.get().is_some()
    }

    /// What the storage did not take, once it has failed.
    pub(super) fn tail(&self) -> std::sync::MutexGuard<'_, Option<Tail>> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the log does not take anything.
    pub(super) fn error(&self) -> LogError {
        match self.failure.get() {
            Some(source) => LogError::Storage { source: source.clone() },
            None => LogError::Closed,
        }
    }
}

impl fmt::Debug for JobLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobLog").field("published", &*self.shared.published.borrow()).finish_non_exhaustive()
    }
}
