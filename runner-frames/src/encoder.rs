//! [`Encoder`]: the writing side of the output file.

use std::time::SystemTime;

use crate::layout::{self, FILE_HEADER, FRAME_HEADER_LEN, MAX_PAYLOAD, Stream};

/// Makes frames. Knows where in the file the next one begins, because a frame's header says so; the caller writes
/// [`FILE_HEADER`] first and then everything that comes out, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoder {
    position: u64,
}

impl Encoder {
    /// For a new file, right after its header.
    pub fn new() -> Self {
        Self { position: FILE_HEADER.len() as u64 }
    }

    /// Length of the file once everything made so far is written: 0 while there is no frame, because the file's header
    /// counts as part of the first one. It is what [`Status::output`](crate::Status::output) says.
    pub fn end(&self) -> u64 {
        if self.position == FILE_HEADER.len() as u64 { 0 } else { self.position }
    }

    /// Appends frames with `payload` to `out`: none for an empty payload, several for one over [`MAX_PAYLOAD`].
    pub fn encode(&mut self, stream: Stream, time: SystemTime, payload: &[u8], out: &mut Vec<u8>) {
        for piece in payload.chunks(MAX_PAYLOAD) {
            if let Some(header) = self.header(stream, time, piece.len()) {
                out.extend_from_slice(&header);
                out.extend_from_slice(piece);
            }
        }
    }

    /// The header of the next frame, for a caller that already has the payload in place behind it. The frame counts as
    /// made. `None`, and nothing counts, when `len` is 0 or over [`MAX_PAYLOAD`].
    pub fn header(&mut self, stream: Stream, time: SystemTime, len: usize) -> Option<[u8; FRAME_HEADER_LEN]> {
        let length = u32::try_from(len).ok().filter(|_| (1..=MAX_PAYLOAD).contains(&len))?;
        let header = layout::header(self.position, stream, layout::to_micros(time), length);
        self.position += (FRAME_HEADER_LEN + len) as u64;
        Some(header)
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}
