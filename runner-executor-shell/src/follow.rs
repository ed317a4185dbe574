//! Following a stage's output.

use std::io::{self, SeekFrom};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use runner_core::executor::{
    Cause, EnvironmentError, FollowEvent, FollowStream, OutputFrame, OutputStream, StageEnd, StageKey,
};
use runner_frames::{Decoder, End, Frame, Status, Stream};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use crate::environment::Memory;
use crate::errors::{blocking, lost, system};
use crate::stage_folder::{Probe, StageFolder};
use crate::watcher::{Watch, Watcher};

/// How much is read at once.
const READ: usize = 256 * 1024;

/// How long nothing may happen before the supervisor is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The stage's frames from an offset on, then its end.
pub(crate) fn follow(
    key: StageKey,
    folder: StageFolder,
    from: u64,
    watcher: Arc<Watcher>,
    memory: Arc<Memory>,
) -> FollowStream {
    let follower = Follower {
        key,
        folder,
        decoder: Decoder::new(from),
        watch: None,
        file: None,
        watcher,
        memory,
        buffer: Vec::new(),
    };
    Box::pin(stream::unfold(Some(follower), |follower| async move {
        let mut follower = follower?;
        Some(match follower.next().await {
            Ok(FollowEvent::Frame(frame)) => (FollowEvent::Frame(frame), Some(follower)),
            Ok(last) => (last, None),
            Err(error) => (FollowEvent::Broken(error), None),
        })
    }))
}

struct Follower {
    key: StageKey,
    folder: StageFolder,
    decoder: Decoder,
    watch: Option<Watch>,
    file: Option<File>,
    watcher: Arc<Watcher>,
    memory: Arc<Memory>,
    buffer: Vec<u8>,
}

impl Follower {
    async fn next(&mut self) -> Result<FollowEvent, EnvironmentError> {
        let mut ended: Option<Status> = None;
        loop {
            match self.decoder.next_frame() {
                Ok(Some(frame)) => return Ok(FollowEvent::Frame(output_frame(frame))),
                Ok(None) => {}
                Err(error) => return Err(self.unreadable(&error)),
            }
            if self.read().await? > 0 {
                continue;
            }
            // The status comes after the last byte: what was not there when we saw it will never be.
            if let Some(status) = ended {
                return self.end(&status);
            }
            match self.probe().await? {
                Probe::Ended(status) => ended = Some(status),
                Probe::Running | Probe::Unclear(_) => self.wait().await?,
                Probe::NotStarted => return Err(self.error("it was not started")),
                Probe::Lost(why) => return Err(lost(&self.key, why)),
            }
        }
    }

    /// Reads on in the output file; 0 when there is no more at the moment.
    async fn read(&mut self) -> Result<usize, EnvironmentError> {
        // First the watch, then the file: nothing that happens in between is missed.
        if self.watch.is_none() {
            self.watch = match self.watcher.watch(self.folder.path()) {
                Ok(watch) => Some(watch),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
                Err(error) => return Err(system("watch", self.folder.path(), error)),
            };
        }
        let path = self.folder.output();
        let failed = |error| system("read", &path, error);
        if self.file.is_none() {
            let mut file = match File::open(&path).await {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
                Err(error) => return Err(failed(error)),
            };
            file.seek(SeekFrom::Start(self.decoder.read_offset())).await.map_err(failed)?;
            self.file = Some(file);
            self.buffer.resize(READ, 0);
        }
        let Some(file) = &mut self.file else { return Ok(0) };
        let read = file.read(&mut self.buffer).await.map_err(failed)?;
        self.decoder.push(self.buffer.get(..read).unwrap_or_default());
        Ok(read)
    }

    async fn probe(&self) -> Result<Probe, EnvironmentError> {
        let folder = self.folder.clone();
        blocking(move || folder.probe()).await
    }

    async fn wait(&self) -> Result<(), EnvironmentError> {
        match &self.watch {
            Some(watch) => {
                // A supervisor that is killed may be seen closing its output while it still seems to live; then nothing
                // happens any more, and only looking again tells.
                let _ = tokio::time::timeout(LOOK_AGAIN, watch.changed()).await;
                Ok(())
            }
            None => Err(self.error("its folder is not there")),
        }
    }

    fn end(&self, status: &Status) -> Result<FollowEvent, EnvironmentError> {
        // In front of a header or behind a frame, depending on whether anything was printed.
        if status.output > self.decoder.read_offset() {
            let text =
                format!("its output ends at {} instead of {}", self.decoder.read_offset(), status.output);
            return Err(self.unreadable(&text));
        }
        stage_end(&self.key, status).map(FollowEvent::Ended)
    }

    fn error(&self, why: &str) -> EnvironmentError {
        EnvironmentError::new(Cause::System, format!("cannot follow stage {}", self.key)).evidence(why)
    }

    /// Output that cannot be read now can never be read: the stage is lost, and asking for its status says so too.
    fn unreadable(&self, why: &dyn std::fmt::Display) -> EnvironmentError {
        self.memory.set_unreadable(&self.key, why.to_string());
        lost(&self.key, why)
    }
}

/// How a stage ended, by its status.
pub(crate) fn stage_end(key: &StageKey, status: &Status) -> Result<StageEnd, EnvironmentError> {
    match &status.end {
        End::Exit(code) => Ok(StageEnd::Exit(*code)),
        End::Signal(signal) => Ok(StageEnd::Signal(*signal)),
        End::Fault(why) => Err(lost(key, why)),
    }
}

fn output_frame(frame: Frame<'_>) -> OutputFrame {
    OutputFrame {
        offset: frame.offset,
        end: frame.end,
        time: frame.time,
        stream: match frame.stream {
            Stream::Stdout => OutputStream::Stdout,
            Stream::Stderr => OutputStream::Stderr,
        },
        bytes: Bytes::copy_from_slice(frame.payload),
    }
}
