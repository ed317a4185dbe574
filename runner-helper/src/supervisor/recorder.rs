//! [`Recorder`]: from the stage's pipes into the output file.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::SystemTime;

use runner_frames::{Encoder, FRAME_HEADER_LEN, MAX_PAYLOAD, Stream};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with};

/// Room for one frame of full size.
const SLOT: usize = FRAME_HEADER_LEN + MAX_PAYLOAD;
/// How much is read before it is written: enough to make a system call per frame unimportant.
const BATCH: usize = 4 * SLOT;
/// A job that prints faster than it is scheduled with us has this much room per stream before it waits.
const PIPE_SIZE: usize = 256 * 1024;

/// Reads what the stage prints straight into place behind frame headers and writes whole batches.
#[derive(Debug)]
pub(super) struct Recorder {
    file: File,
    encoder: Encoder,
    /// Source offset up to which the file is written.
    written: u64,
    pipes: Vec<Source>,
    buffer: Vec<u8>,
    /// Set once the file cannot be written any more: the stage's output is read and dropped, so that it can end.
    broken: bool,
}

#[derive(Debug)]
struct Source {
    fd: OwnedFd,
    stream: Stream,
}

/// What the stage writes into.
#[derive(Debug)]
pub(super) struct WriteEnds {
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

/// A reading end that never blocks and a writing end that does.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    fcntl_setfl(&read, fcntl_getfl(&read)? | OFlags::NONBLOCK)?;
    // A user may have used up the room for big pipes; the usual size works too.
    let _ = fcntl_setpipe_size(&read, PIPE_SIZE);
    Ok((read, write))
}

impl Recorder {
    /// Records into a file that has its header, from two new pipes. Made before the shell, so that nothing that can fail
    /// is left once it runs.
    pub(super) fn new(file: File) -> io::Result<(Self, WriteEnds)> {
        let (stdout, stdout_end) = pipe()?;
        let (stderr, stderr_end) = pipe()?;
        let pipes = vec![
            Source { fd: stdout, stream: Stream::Stdout },
            Source { fd: stderr, stream: Stream::Stderr },
        ];
        let recorder =
            Self { file, encoder: Encoder::new(), written: 0, pipes, buffer: vec![0; BATCH], broken: false };
        Ok((recorder, WriteEnds { stdout: stdout_end, stderr: stderr_end }))
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Source offset after everything that is in the file.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// The pipes that are still open.
    pub(super) fn sources(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.pipes.iter().map(|pipe| pipe.fd.as_fd())
    }

    /// Reads a batch at most from the pipes and writes it. With text that trickles in, that is one read and one write.
    ///
    /// # Errors
    /// When the file could not be written. It then ends with the last whole batch, and further output is dropped silently.
    pub(super) fn pump(&mut self) -> io::Result<()> {
        let mut used = 0;
        // In turns, so that a stream that never pauses does not silence the other one.
        let mut again = true;
        while again {
            again = false;
            let mut index = 0;
            while let Some(pipe) = self.pipes.get(index) {
                let Some(slot) = self.buffer.get_mut(used + FRAME_HEADER_LEN..used + SLOT) else { break };
                match rustix::io::read(&pipe.fd, &mut *slot) {
                    Err(Errno::INTR) => continue,
                    Err(Errno::AGAIN) => {}
                    Ok(0) | Err(_) => {
                        self.pipes.remove(index);
                        continue;
                    }
                    Ok(n) => {
                        again |= n == slot.len();
                        if let Some(header) = self.encoder.header(pipe.stream, SystemTime::now(), n)
                            && let Some(place) = self.buffer.get_mut(used..used + FRAME_HEADER_LEN)
                        {
                            place.copy_from_slice(&header);
                            used += FRAME_HEADER_LEN + n;
                        }
                    }
                }
                index += 1;
            }
            again &= used + SLOT <= self.buffer.len();
        }
        self.write(used)
    }

    /// Takes what is in the pipes when nobody of the stage is left. Ends even if a stranger got hold of a pipe and goes on
    /// printing: no more than a pipe holds can come from the stage.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        let room: usize =
            self.pipes.iter().map(|pipe| fcntl_getpipe_size(&pipe.fd).unwrap_or(PIPE_SIZE)).sum();
        let limit = self.encoder.end() + (room + BATCH) as u64;
        loop {
            let before = self.encoder.end();
            self.pump()?;
            if self.encoder.end() == before || before > limit {
                return Ok(());
            }
        }
    }

    fn write(&mut self, used: usize) -> io::Result<()> {
        if used == 0 || self.broken {
            return Ok(());
        }
        let bytes = self.buffer.get(..used).unwrap_or_default();
        if let Err(error) = self.file.write_all(bytes) {
            self.broken = true;
            // Half of a batch may have been written; a reader shall see whole frames only.
            let _ = self.file.set_len(self.written.max(runner_frames::FILE_HEADER.len() as u64));
            return Err(error);
        }
        self.written = self.encoder.end();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use runner_frames::Decoder;

    use super::*;

    fn filled(fd: &OwnedFd) -> usize {
        let flags = fcntl_getfl(fd).unwrap();
        fcntl_setfl(fd, flags | OFlags::NONBLOCK).unwrap();
        let mut total = 0;
        while let Ok(n) = rustix::io::write(fd, &[b'x'; 4096]) {
            total += n;
        }
        total
    }

    #[test]
    fn a_stream_that_never_pauses_does_not_silence_the_other() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (mut recorder, ends) = Recorder::new(file.reopen().unwrap()).unwrap();
        let mut file_bytes = runner_frames::FILE_HEADER.to_vec();
        recorder.file.write_all(&file_bytes).unwrap();
        let total = filled(&ends.stdout);
        rustix::io::write(&ends.stderr, b"heard").unwrap();
        recorder.pump().unwrap();
        file_bytes = std::fs::read(file.path()).unwrap();
        let mut decoder = Decoder::new(0);
        decoder.push(&file_bytes);
        assert_eq!(decoder.next_frame().unwrap().unwrap().stream, Stream::Stdout);
        assert_eq!(decoder.next_frame().unwrap().unwrap().payload, b"heard");
        recorder.drain().unwrap();
        assert_eq!(recorder.written(), std::fs::metadata(file.path()).unwrap().len());
        assert!(recorder.written() > total as u64);
    }

    #[test]
    fn draining_ends_although_a_stranger_goes_on_printing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (mut recorder, ends) = Recorder::new(file.reopen().unwrap()).unwrap();
        let stranger =
            std::thread::spawn(move || while rustix::io::write(&ends.stdout, &[b'x'; 4096]).is_ok() {});
        recorder.drain().unwrap();
        drop(recorder);
        stranger.join().unwrap();
    }
}
