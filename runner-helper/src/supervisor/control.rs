//! [`Control`]: the FIFO through which a manager asks for something.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use runner_frames::Request;
use rustix::fs::{CWD, Mode, OFlags, mkfifoat};

/// No request is longer; a line that is, is none.
const MAX_LINE: usize = 128;

/// The reading end. Open for writing too, so that it never reports the end of a manager as its own.
#[derive(Debug)]
pub(super) struct Control {
    fifo: File,
    line: Vec<u8>,
}

/// A line that came in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Request(Request),
    /// Not a request; what there is to say about it.
    Other(String),
}

impl Control {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR)?;
        let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
        let fifo =
            OpenOptions::new().read(true).write(true).custom_flags(flags.bits().cast_signed()).open(path)?;
        Ok(Self { fifo, line: Vec::new() })
    }

    pub(super) fn fd(&self) -> impl AsFd + '_ {
        &self.fifo
    }

    pub(super) fn file(&self) -> &File {
        &self.fifo
    }

    /// What came in since the last call.
    pub(super) fn take(&mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut bytes = [0; 512];
        // One read is enough: what is left wakes the next poll.
        if let Ok(n) = self.fifo.read(&mut bytes) {
            for &byte in bytes.iter().take(n) {
                self.feed(byte, &mut lines);
            }
        }
        lines
    }

    fn feed(&mut self, byte: u8, lines: &mut Vec<Line>) {
        if byte != b'\n' {
            if self.line.len() <= MAX_LINE {
                self.line.push(byte);
            }
            return;
        }
        let line = std::mem::take(&mut self.line);
        let request = std::str::from_utf8(&line).ok().and_then(|text| text.parse().ok());
        lines.push(match request {
            Some(request) if line.len() <= MAX_LINE => Line::Request(request),
            _ => Line::Other(format!("not a request: {:?}", String::from_utf8_lossy(&line))),
        });
    }
}
