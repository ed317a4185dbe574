//! The bytes of the output file: constants, the frame header and its check value.

use std::time::{Duration, SystemTime};

/// Version of the output file's format, the last byte of [`FILE_HEADER`].
pub const VERSION: u8 = 1;

/// The first bytes of every output file: seven that name the format, then the version.
pub const FILE_HEADER: [u8; 8] = [b'R', b'F', b'R', b'A', b'M', b'E', b'S', VERSION];

/// Length of a frame's header in bytes.
pub const FRAME_HEADER_LEN: usize = 16;

/// The most bytes that one frame carries. The least is one: an empty frame would say nothing.
pub const MAX_PAYLOAD: usize = 64 * 1024;

/// Which output of the stage something was printed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    pub(crate) fn code(self) -> u8 {
        match self {
            Stream::Stdout => 1,
            Stream::Stderr => 2,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Stream::Stdout),
            2 => Some(Stream::Stderr),
            _ => None,
        }
    }
}

/// Writes the header of a frame that begins at `position` of the file.
pub(crate) fn header(position: u64, stream: Stream, time: u64, len: u32) -> [u8; FRAME_HEADER_LEN] {
    let mut bytes = [0; FRAME_HEADER_LEN];
    bytes[..4].copy_from_slice(&len.to_le_bytes());
    bytes[4] = stream.code();
    bytes[5..8].copy_from_slice(&check(position, stream.code(), time, len));
    bytes[8..].copy_from_slice(&time.to_le_bytes());
    bytes
}

/// What a frame's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) stream: Stream,
    pub(crate) time: u64,
    pub(crate) len: usize,
}

/// Reads a header; the error says what is wrong with it.
pub(crate) fn parse_header(position: u64, bytes: &[u8; FRAME_HEADER_LEN]) -> Result<Header, &'static str> {
    let [l0, l1, l2, l3, code, c0, c1, c2, time @ ..] = *bytes;
    let len = u32::from_le_bytes([l0, l1, l2, l3]);
    let time = u64::from_le_bytes(time);
    let payload = len as usize;
    if payload == 0 || payload > MAX_PAYLOAD {
        return Err("impossible length");
    }
    let stream = Stream::from_code(code).ok_or("unknown stream")?;
    if check(position, code, time, len) != [c0, c1, c2] {
        return Err("wrong check value");
    }
    Ok(Header { stream, time, len: payload })
}

/// 24 bits over everything that the header says and where it stands. Not against an attacker: it tells a reader with a wrong
/// offset, a hole or a shifted copy from a frame, for a few nanoseconds. The payload is not covered: it is as safe in the
/// file as any other byte on this machine, and GitLab gets a checksum of the whole log.
fn check(position: u64, stream: u8, time: u64, len: u32) -> [u8; 3] {
    let h = mix(position ^ 0x5246_5241_4D45_5301);
    let h = mix(h ^ time);
    let h = mix(h ^ u64::from(len) ^ (u64::from(stream) << 32));
    let [a, b, c, ..] = h.to_le_bytes();
    [a, b, c]
}

/// The finishing step of SplitMix64: every input bit changes about half of the output bits.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// Microseconds since the epoch; what cannot be said that way is clipped.
pub(crate) fn to_micros(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// The time that `micros` microseconds after the epoch was; the epoch itself where the platform cannot say it.
pub(crate) fn from_micros(micros: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(micros)).unwrap_or(SystemTime::UNIX_EPOCH)
}
