//! [`Decoder`]: the reading side of the output file.

use std::error::Error;
use std::fmt;
use std::time::SystemTime;

use crate::layout::{self, FILE_HEADER, FRAME_HEADER_LEN, VERSION};
use crate::{MAX_PAYLOAD, Stream};

/// The smallest source offset but 0: after a file header and a frame of one byte.
const FIRST_BORDER: u64 = (FILE_HEADER.len() + FRAME_HEADER_LEN + 1) as u64;

/// A piece of output as it was printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Source offset at which the frame begins. The first frame begins at 0: the file's header counts as part of it, so
    /// that frames cover the file without a gap.
    pub offset: u64,
    /// Source offset right after the frame: where reading goes on.
    pub end: u64,
    /// Where it was printed.
    pub stream: Stream,
    /// When it was printed, by the clock of the stage's machine, in whole microseconds. May go backwards when that clock is
    /// set; the order of frames is their order in the file.
    pub time: SystemTime,
    /// What was printed: 1 to [`MAX_PAYLOAD`] bytes, not necessarily whole lines or characters.
    pub payload: &'a [u8],
}

/// Turns the bytes of an output file into frames, in pieces of any size.
///
/// Starts at any source offset: 0 or the `end` of a frame. A frame that is not whole yet is not an error, it is *not there
/// yet*; everything else that is not a frame is an error that stays. Holds at most what was pushed and not taken out: take
/// all frames out between two pushes and that is one frame and one push.
#[derive(Debug, Clone)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Where in `buffer` the bytes begin that no frame has used.
    start: usize,
    /// Where in the file those bytes begin.
    position: u64,
    error: Option<DecodeError>,
}

impl Decoder {
    /// A decoder for the bytes of the file from this source offset on.
    pub fn new(from: u64) -> Self {
        let error = (1..FIRST_BORDER)
            .contains(&from)
            .then_some(DecodeError::Corrupt { offset: from, what: "no frame can begin here" });
        Self { buffer: Vec::new(), start: 0, position: from, error }
    }

    /// Takes the next bytes of the file: those at [`read_offset`](Self::read_offset).
    pub fn push(&mut self, bytes: &[u8]) {
        if self.error.is_some() {
            return;
        }
        if self.start == self.buffer.len() {
            self.buffer.clear();
        } else {
            self.buffer.drain(..self.start);
        }
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Where in the file the next bytes to push begin.
    pub fn read_offset(&self) -> u64 {
        self.position + self.pending() as u64
    }

    /// How many bytes were pushed that are not part of a whole frame.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// The next whole frame, or `None` while it is not there yet.
    ///
    /// # Errors
    /// When the bytes are no frames. The error is final: every later call repeats it.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, DecodeError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        match self.find() {
            Ok(None) => Ok(None),
            Ok(Some(found)) => {
                let start = self.start + found.skip;
                let offset = self.position;
                self.start = start + found.header.len;
                self.position += (found.skip + found.header.len) as u64;
                Ok(Some(Frame {
                    offset,
                    end: self.position,
                    stream: found.header.stream,
                    time: layout::from_micros(found.header.time),
                    payload: self.buffer.get(start..self.start).unwrap_or_default(),
                }))
            }
            Err(error) => {
                self.buffer = Vec::new();
                self.start = 0;
                self.error = Some(error.clone());
                Err(error)
            }
        }
    }

    fn find(&self) -> Result<Option<Found>, DecodeError> {
        let mut rest = self.buffer.get(self.start..).unwrap_or_default();
        let mut skip = 0;
        if self.position == 0 {
            let Some((header, after)) = rest.split_first_chunk() else { return Ok(None) };
            check_file_header(header)?;
            (rest, skip) = (after, FILE_HEADER.len());
        }
        let Some((bytes, payload)) = rest.split_first_chunk::<FRAME_HEADER_LEN>() else { return Ok(None) };
        let offset = self.position + skip as u64;
        let header =
            layout::parse_header(offset, bytes).map_err(|what| DecodeError::Corrupt { offset, what })?;
        debug_assert!(header.len <= MAX_PAYLOAD);
        Ok((payload.len() >= header.len).then_some(Found { skip: skip + FRAME_HEADER_LEN, header }))
    }
}

/// A whole frame at the front of the buffer.
struct Found {
    /// Bytes before the payload.
    skip: usize,
    header: layout::Header,
}

fn check_file_header(found: &[u8; FILE_HEADER.len()]) -> Result<(), DecodeError> {
    let [name @ .., version] = found;
    if !FILE_HEADER.starts_with(name) {
        return Err(DecodeError::NotFrames);
    }
    if *version != VERSION {
        return Err(DecodeError::UnsupportedVersion { version: *version });
    }
    Ok(())
}

/// Why bytes are not the output file of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The file is something else.
    NotFrames,
    /// The file is of a version that this program does not read. Nothing is wrong with the file.
    UnsupportedVersion {
        /// What the file says.
        version: u8,
    },
    /// No frame begins at this place: the file is damaged, or reading began at an offset that is not a frame's border.
    Corrupt {
        /// Where in the file.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::NotFrames => f.write_str("the file does not begin like the output of a stage"),
            DecodeError::UnsupportedVersion { version } => {
                write!(f, "output file of version {version}; this program reads version {VERSION}")
            }
            DecodeError::Corrupt { offset, what } => {
                write!(f, "no frame at byte {offset} of the output file: {what}")
            }
        }
    }
}

impl Error for DecodeError {}
