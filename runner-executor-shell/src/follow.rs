//! Following a stage's output.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use runner_core::executor::{
    Cause, EnvironmentError, FollowEvent, FollowStream, OutputFrame, OutputStream, StageEnd, StageKey,
};
use runner_frames::{Decoder, End, Frame, Status, Stream};

use crate::environment::Memory;
use crate::errors::{blocking, lost, system};
use crate::stage_folder::{Probe, StageFolder};
use crate::watcher::{Watch, Watcher};

/// How much is read at once: little while little comes, because many stages may be followed at the same time.
const LEAST: usize = 8 * 1024;
const MOST: usize = 256 * 1024;

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
    let reader = Reader { folder, file: None, buffer: Vec::new() };
    let follower = Follower {
        key,
        decoder: Decoder::new(from),
        watch: None,
        reader: Some(reader),
        probe_due: true,
        watcher,
        memory,
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
    decoder: Decoder,
    watch: Option<Watch>,
    /// Away while it reads.
    reader: Option<Reader>,
    /// There may be more to see than output.
    probe_due: bool,
    watcher: Arc<Watcher>,
    memory: Arc<Memory>,
}

/// The blocking side: what it finds out takes one visit to another thread.
struct Reader {
    folder: StageFolder,
    file: Option<File>,
    buffer: Vec<u8>,
}

/// What one visit has shown.
enum Seen {
    /// So many bytes of the buffer are new.
    More(usize),
    /// There is no more output, and this is how the stage was before that was seen, if anybody wanted to know.
    NoMore(Option<Probe>),
}

/// What one look has brought.
enum Look {
    /// The decoder has more.
    More,
    /// Nothing new.
    NoMore,
    /// No more output; how the stage is.
    Stage(Probe),
}

impl Follower {
    async fn next(&mut self) -> Result<FollowEvent, EnvironmentError> {
        loop {
            match self.decoder.next_frame() {
                Ok(Some(frame)) => return Ok(FollowEvent::Frame(output_frame(frame))),
                Ok(None) => {}
                Err(error) => return Err(self.unreadable(&error)),
            }
            match self.look().await? {
                Look::More => {}
                Look::Stage(Probe::Ended(status)) => return self.end(&status),
                Look::NoMore | Look::Stage(Probe::Running | Probe::Unclear(_)) => self.wait().await?,
                Look::Stage(Probe::NotStarted) => return Err(self.error("it was not started")),
                Look::Stage(Probe::Lost(why)) => return Err(lost(&self.key, why)),
            }
        }
    }

    /// Gives the decoder more; when there is no more at the moment, tells how the stage is if that is due.
    async fn look(&mut self) -> Result<Look, EnvironmentError> {
        let mut reader = self.reader.take().ok_or_else(|| self.error("a read of it was cut short"))?;
        // First the watch, then the file: nothing that happens in between is missed.
        if self.watch.is_none() {
            let path = reader.folder.path();
            self.watch = match self.watcher.watch(path) {
                Ok(watch) => Some(watch),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(system("watch", path, error)),
            };
        }
        let (from, probe_due) = (self.decoder.read_offset(), self.probe_due);
        let (reader, seen) = blocking(move || {
            let seen = reader.look(from, probe_due)?;
            Ok((reader, seen))
        })
        .await?;
        let look = match seen {
            Seen::More(read) => {
                self.decoder.push(reader.buffer.get(..read).unwrap_or_default());
                Look::More
            }
            Seen::NoMore(None) => Look::NoMore,
            Seen::NoMore(Some(probe)) => {
                self.probe_due = false;
                Look::Stage(probe)
            }
        };
        self.reader = Some(reader);
        Ok(look)
    }

    async fn wait(&mut self) -> Result<(), EnvironmentError> {
        match &self.watch {
            Some(watch) => {
                // A supervisor that is killed may be seen closing its output while it still seems to live; then nothing
                // happens any more, and only looking again tells.
                self.probe_due |= tokio::time::timeout(LOOK_AGAIN, watch.changed()).await.unwrap_or(true);
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

impl Reader {
    /// Reads on behind `from`, which is where the last read ended.
    fn look(&mut self, from: u64, probe_due: bool) -> Result<Seen, EnvironmentError> {
        let read = self.read(from)?;
        if read > 0 {
            return Ok(Seen::More(read));
        }
        if !probe_due {
            return Ok(Seen::NoMore(None));
        }
        let probe = self.folder.probe()?;
        // The status comes after the last byte: what was not there when we saw it will never be.
        if matches!(probe, Probe::Ended(_)) {
            let read = self.read(from)?;
            if read > 0 {
                return Ok(Seen::More(read));
            }
        }
        self.buffer = Vec::new();
        Ok(Seen::NoMore(Some(probe)))
    }

    /// 0 when there is no more at the moment.
    fn read(&mut self, from: u64) -> Result<usize, EnvironmentError> {
        let path = self.folder.output();
        let failed = |error| system("read", &path, error);
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let mut file = match File::open(&path) {
                    Ok(file) => file,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
                    Err(error) => return Err(failed(error)),
                };
                file.seek(SeekFrom::Start(from)).map_err(failed)?;
                self.file.insert(file)
            }
        };
        if self.buffer.is_empty() {
            self.buffer = vec![0; LEAST];
        }
        let read = file.read(&mut self.buffer).map_err(failed)?;
        if read == self.buffer.len() && read < MOST {
            self.buffer.resize(2 * read, 0);
        }
        Ok(read)
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
