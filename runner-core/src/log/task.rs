//! The task that owns a job's filter and spool.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::checkpoint::{self, Checkpoint};
use super::error::LogError;
use super::filter::{Filter, FilterSettings};
use super::joblog::{Entry, Published, QUEUE_BYTES, Shared};
use super::offsets::Offsets;
use super::storage::LogStorage;
use crate::executor::{OutputFrame, StageKey};

/// Output is filtered in parts of this size, so that what the filter makes of them stays small.
const PART: usize = 16 * 1024;

/// The spool is written in pieces of about this size: large enough that handing them to another thread costs little.
const WRITE: usize = 256 * 1024;

/// A buffer that has grown beyond this is not used again.
const KEEP: usize = 2 * WRITE;

/// Commands that are carried out before the sender gets what it waits for.
const BATCH: usize = 64;

/// What the task is asked to do, in this order.
#[derive(Debug)]
pub(super) enum Command {
    Frame {
        stage: Arc<StageKey>,
        frame: OutputFrame,
        room: OwnedSemaphorePermit,
    },
    Entries {
        name: Option<String>,
        entries: Vec<Entry>,
        time: SystemTime,
        room: Option<OwnedSemaphorePermit>,
    },
    Flush {
        stage: StageKey,
    },
    Mask {
        values: Vec<SecretString>,
        answer: oneshot::Sender<Published>,
    },
    Commit(oneshot::Sender<Published>),
    /// As `Commit`, but there is a checkpoint afterwards in any case.
    Save(oneshot::Sender<Published>),
    Finish(oneshot::Sender<Published>),
    Remove(oneshot::Sender<io::Result<()>>),
}

/// Turns what is appended to a [`JobLog`](super::JobLog) into the published log. Run it as a task of its own; dropping it
/// loses nothing that was committed.
pub struct LogTask {
    queue: mpsc::Receiver<Command>,
    /// Set as soon as the handles exist.
    shared: Option<Arc<Shared>>,
    log: Log,
}

/// The state of the log.
struct Log {
    filter: Filter,
    /// Bytes of the log that are not in the spool yet.
    pending: Vec<u8>,
    /// Length and checksum of the spool.
    spooled: u64,
    crc32: crc32fast::Hasher,
    sources: Offsets,
    /// The stage whose output is being filtered; `None`: nothing of any stage is held back.
    current: Option<Arc<StageKey>>,
    written: BTreeSet<String>,
    /// Something has changed since the last checkpoint.
    dirty: bool,
    /// Everything was deleted: nothing is written any more.
    removed: bool,
}

impl LogTask {
    pub(super) async fn open(
        storage: &LogStorage,
        settings: FilterSettings,
        queue: mpsc::Receiver<Command>,
    ) -> Result<Self, LogError> {
        let log = match storage.checkpoints.load().await? {
            Some(bytes) => {
                let corrupt = |error: io::Error| LogError::Corrupt { what: error.to_string() };
                Log::recover(storage, settings, Checkpoint::from_bytes(&bytes).map_err(corrupt)?).await?
            }
            None => {
                storage.spool.truncate(0).await?;
                Log::new(settings)
            }
        };
        Ok(Self { queue, shared: None, log })
    }

    pub(super) fn with_shared(self, shared: Arc<Shared>) -> Self {
        Self { shared: Some(shared), ..self }
    }

    pub(super) fn position(&self) -> Published {
        self.log.position()
    }

    pub(super) fn sources(&self) -> &Offsets {
        &self.log.sources
    }

    pub(super) fn written(&self) -> &BTreeSet<String> {
        &self.log.written
    }

    /// Works until the last [`JobLog`](super::JobLog) is dropped. When the storage fails, appending tells of it, and what was
    /// appended before is kept in memory for the sender.
    pub async fn run(mut self) {
        let Some(shared) = self.shared.take() else { return };
        let shared = &*shared;
        let mut wanted = false;
        loop {
            tokio::select! {
                biased;
                // First, so that a queue that is never empty does not keep the sender waiting.
                () = shared.wanted.notified() => wanted = true,
                command = self.queue.recv() => match command {
                    Some(command) => self.log.carry_out(command, shared).await,
                    None => return self.log.commit(shared).await,
                },
            }
            for _ in 0..BATCH {
                match self.queue.try_recv() {
                    Ok(command) => self.log.carry_out(command, shared).await,
                    Err(_) => break,
                }
            }
            if wanted && self.log.has_more_than(shared.wanted_beyond.load(Ordering::Relaxed)) {
                self.log.commit(shared).await;
                wanted = false;
            }
        }
    }
}

impl Log {
    fn new(settings: FilterSettings) -> Self {
        Self {
            filter: Filter::new(settings),
            pending: Vec::new(),
            spooled: 0,
            crc32: crc32fast::Hasher::new(),
            sources: Offsets::default(),
            current: None,
            written: BTreeSet::new(),
            dirty: false,
            removed: false,
        }
    }

    /// Cuts the spool to the checkpoint and goes on there.
    async fn recover(
        storage: &LogStorage,
        settings: FilterSettings,
        checkpoint: Checkpoint,
    ) -> Result<Self, LogError> {
        let len = storage.spool.length().await?;
        if len < checkpoint.spool_len {
            let what = format!("the spool has {len} bytes of {}", checkpoint.spool_len);
            return Err(LogError::Corrupt { what });
        }
        storage.spool.truncate(checkpoint.spool_len).await?;
        let mut crc32 = crc32fast::Hasher::new();
        let mut at = 0;
        while at < checkpoint.spool_len {
            let end = checkpoint.spool_len.min(at + 1024 * 1024);
            crc32.update(&storage.spool.read(at..end).await?);
            at = end;
        }
        if crc32.clone().finalize() != checkpoint.crc32 {
            return Err(LogError::Corrupt {
                what: "the spool's checksum is not that of the checkpoint".into(),
            });
        }
        Ok(Self {
            filter: Filter::restore(settings, checkpoint.filter),
            pending: Vec::new(),
            spooled: checkpoint.spool_len,
            crc32,
            sources: checkpoint.sources.into(),
            current: checkpoint.current.map(Arc::new),
            written: checkpoint.written,
            dirty: false,
            removed: false,
        })
    }

    fn position(&self) -> Published {
        Published { len: self.spooled, crc32: self.crc32.clone().finalize() }
    }

    fn has_more_than(&self, len: u64) -> bool {
        self.spooled + self.pending.len() as u64 > len
    }

    async fn carry_out(&mut self, command: Command, shared: &Shared) {
        // Nobody may wait for the answer any more: that is their business.
        match command {
            Command::Frame { stage, frame, room } => {
                self.frame(stage, &frame, shared).await;
                drop(room);
            }
            Command::Entries { name, entries, time, room } => {
                self.entries(name, &entries, time);
                drop(room);
            }
            // Another stage has begun: this one's end was seen before.
            Command::Flush { stage } if self.current.as_deref() != Some(&stage) => {}
            Command::Flush { .. } => self.end_stage(),
            Command::Mask { values, answer } => {
                self.filter.mask_also(values.iter().map(ExposeSecret::expose_secret), &mut self.pending);
                self.dirty = true;
                self.commit(shared).await;
                let _ = answer.send(self.position());
            }
            Command::Commit(answer) => {
                self.commit(shared).await;
                let _ = answer.send(self.position());
            }
            Command::Save(answer) => {
                self.dirty = true;
                self.commit(shared).await;
                let _ = answer.send(self.position());
            }
            Command::Finish(answer) => {
                self.filter.finish(&mut self.pending);
                self.current = None;
                self.dirty = true;
                self.commit(shared).await;
                let _ = answer.send(self.position());
            }
            Command::Remove(answer) => {
                self.removed = true;
                let _ = answer.send(shared.storage.remove().await);
            }
        }
        if self.pending.len() >= WRITE {
            self.write(shared).await;
        }
    }

    async fn frame(&mut self, stage: Arc<StageKey>, frame: &OutputFrame, shared: &Shared) {
        // Memory is no disk: what was waiting when the storage failed is kept, as long as it is not made much longer.
        if shared.tail().as_ref().is_some_and(|tail| tail.len() > QUEUE_BYTES) {
            return;
        }
        if self.current.as_deref() != Some(&*stage) {
            self.end_stage();
            self.current = Some(stage.clone());
        }
        if frame.bytes.len() >= PART && self.pending.capacity() < WRITE {
            // More will come: once large enough instead of doubled again and again.
            self.pending.reserve_exact((WRITE + 2 * PART).saturating_sub(self.pending.len()));
        }
        for part in frame.bytes.chunks(PART) {
            self.filter.push(frame.stream, frame.time, part, &mut self.pending);
            if self.pending.len() >= WRITE {
                self.write(shared).await;
            }
        }
        self.filter.end_frame(frame.stream, &mut self.pending);
        self.sources.set(&stage, frame.end);
        self.dirty = true;
    }

    /// Nothing more comes of the current stage.
    fn end_stage(&mut self) {
        if self.current.take().is_some() {
            self.filter.flush(&mut self.pending);
            self.dirty = true;
        }
    }

    fn entries(&mut self, name: Option<String>, entries: &[Entry], time: SystemTime) {
        for entry in entries {
            match entry {
                Entry::Line(kind, text) => self.filter.line(*kind, text, time, &mut self.pending),
                Entry::SectionStart(name) => self.filter.section_start(name, time, &mut self.pending),
                Entry::SectionEnd(name) => self.filter.section_end(name, time, &mut self.pending),
            }
        }
        self.written.extend(name);
        self.dirty = true;
    }

    /// Moves what is pending to the spool, or into memory when that has failed. The sender does not see it yet.
    async fn write(&mut self, shared: &Shared) {
        if self.pending.is_empty() || self.removed {
            return;
        }
        let bytes = Bytes::from(std::mem::take(&mut self.pending));
        if !shared.has_failed()
            && let Err(error) = shared.storage.spool.append(bytes.clone()).await
        {
            self.fail(error, shared);
        }
        if let Some(tail) = &mut *shared.tail() {
            tail.push(&bytes);
        }
        self.crc32.update(&bytes);
        self.spooled += bytes.len() as u64;
        // While output comes fast, one buffer serves for all of it: if the spool has not kept the bytes.
        if (WRITE..=KEEP).contains(&bytes.len())
            && let Ok(mut buffer) = bytes.try_into_mut()
        {
            buffer.clear();
            self.pending = buffer.into();
        }
    }

    /// Writes a checkpoint if something has changed; only then the sender sees what it covers. Without storage there is no
    /// checkpoint: the job ends, and the sender sees what there is.
    async fn commit(&mut self, shared: &Shared) {
        if !self.dirty || self.removed {
            return;
        }
        self.write(shared).await;
        if !shared.has_failed()
            && let Err(error) = self.checkpoint(shared).await
        {
            self.fail(error, shared);
        }
        self.dirty = false;
        shared.published.send_replace(self.position());
    }

    async fn checkpoint(&self, shared: &Shared) -> io::Result<()> {
        let position = self.position();
        let checkpoint = Checkpoint {
            version: checkpoint::VERSION,
            sources: self.sources.to_vec(),
            current: self.current.as_deref().cloned(),
            spool_len: position.len,
            crc32: position.crc32,
            filter: self.filter.state(),
            written: self.written.clone(),
        };
        shared.storage.checkpoints.save(checkpoint.to_bytes()?).await
    }

    fn fail(&self, error: io::Error, shared: &Shared) {
        tracing::error!(%error, "the job's log cannot be kept");
        shared.fail(error, self.spooled);
    }
}

impl fmt::Debug for LogTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogTask").field("position", &self.position()).finish_non_exhaustive()
    }
}
