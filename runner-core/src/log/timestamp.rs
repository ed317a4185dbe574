//! Puts a header with time and stream before each line of the log.
//!
//! A header has 32 bytes: `2026-11-23T10:00:00.123456Z 01O ` is the time in UTC, two hexadecimal digits for the source of
//! the line, `O` for standard output or `E` for standard error, and a flag: a blank begins a line, `+` continues the last
//! line of the same stream. So text need not wait for its line's end: it gets a line end that the reader takes out again.
//!
//! Source: GitLab's documentation, feature flag `FF_TIMESTAMPS`.

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use memchr::memchr;

/// Places in a header.
const SECONDS: Range<usize> = 0..19;
const MICROS: Range<usize> = 20..26;
const STREAM: Range<usize> = 28..31;
const FLAG: usize = 31;

/// Stamps one stream.
#[derive(Debug, Clone)]
pub(super) struct Stamper {
    /// The stream's last line is not at its end.
    continues: bool,
    /// A line of the log is begun and has no line end yet.
    open: bool,
    /// The header that was written last, and its time.
    header: [u8; 32],
    time: SystemTime,
}

impl Stamper {
    /// A stamper for a stream, named by two hexadecimal digits and `O` or `E`, whose last line goes on if it `continues`.
    pub(super) fn new(stream: [u8; 3], continues: bool) -> Self {
        let mut header = *b"1970-01-01T00:00:00.000000Z ____";
        header[STREAM].copy_from_slice(&stream);
        Self { continues, open: false, header, time: UNIX_EPOCH }
    }

    /// Whether the stream's last line goes on. Asked between two pieces.
    pub(super) fn continues(&self) -> bool {
        self.continues
    }

    /// Writes text that was printed at `time`. Pieces of the same time may follow; then [`end_piece`](Self::end_piece).
    pub(super) fn push(&mut self, time: SystemTime, mut text: &[u8], out: &mut Vec<u8>) {
        while !text.is_empty() {
            let end = memchr(b'\n', text);
            let (line, rest) = text.split_at(end.map_or(text.len(), |at| at + 1));
            if !self.open {
                self.header(time, out);
            }
            out.extend_from_slice(line);
            self.open = end.is_none();
            self.continues = self.open;
            text = rest;
        }
    }

    /// Ends the line of the log, so that other streams can write; the stream's own line may go on.
    pub(super) fn end_piece(&mut self, out: &mut Vec<u8>) {
        if self.open {
            out.push(b'\n');
            self.open = false;
        }
    }

    /// Ends the stream's own line too: what comes next begins a new one.
    pub(super) fn end_line(&mut self, out: &mut Vec<u8>) {
        self.end_piece(out);
        self.continues = false;
    }

    fn header(&mut self, time: SystemTime, out: &mut Vec<u8>) {
        if time != self.time {
            self.set_time(time);
        }
        self.header[FLAG] = if self.continues { b'+' } else { b' ' };
        out.extend_from_slice(&self.header);
    }

    fn set_time(&mut self, time: SystemTime) {
        let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (new, old) = (since(time), since(self.time));
        self.time = time;
        if new.as_secs() != old.as_secs() {
            let second = i64::try_from(new.as_secs()).ok().and_then(|s| Timestamp::from_second(s).ok());
            let text = second.unwrap_or(Timestamp::UNIX_EPOCH).to_string();
            self.header[SECONDS].iter_mut().zip(text.bytes()).for_each(|(place, byte)| *place = byte);
        }
        let mut micros = new.subsec_micros();
        for digit in self.header[MICROS].iter_mut().rev() {
            *digit = b'0' + (micros % 10) as u8;
            micros /= 10;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(micros: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(1_795_428_000_000_000 + micros)
    }

    #[test]
    fn each_line_has_a_header_of_32_bytes() {
        let mut out = Vec::new();
        let mut stamper = Stamper::new(*b"01O", false);
        stamper.push(at(123_456), b"one\n\ntwo\n", &mut out);
        stamper.end_piece(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "2026-11-23T10:00:00.123456Z 01O one\n\
             2026-11-23T10:00:00.123456Z 01O \n\
             2026-11-23T10:00:00.123456Z 01O two\n"
        );
    }

    #[test]
    fn text_without_line_end_is_written_at_once_and_continued() {
        let mut out = Vec::new();
        let mut stamper = Stamper::new(*b"01E", false);
        for (time, text) in [(7, &b"10%\r"[..]), (1_000_008, b"20%\r"), (2_000_000, b"done\nnext")] {
            stamper.push(at(time), text, &mut out);
            stamper.end_piece(&mut out);
        }
        stamper.end_line(&mut out);
        stamper.push(at(3_000_000), b"new\n", &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "2026-11-23T10:00:00.000007Z 01E 10%\r\n\
             2026-11-23T10:00:01.000008Z 01E+20%\r\n\
             2026-11-23T10:00:02.000000Z 01E+done\n\
             2026-11-23T10:00:02.000000Z 01E next\n\
             2026-11-23T10:00:03.000000Z 01E new\n"
        );
    }

    #[test]
    fn pieces_of_one_time_are_one_line() {
        let mut out = Vec::new();
        let mut stamper = Stamper::new(*b"00O", true);
        stamper.push(at(0), b"on", &mut out);
        stamper.push(at(0), b"e", &mut out);
        stamper.end_piece(&mut out);
        assert_eq!(out, b"2026-11-23T10:00:00.000000Z 00O+one\n");
        assert!(stamper.continues());
    }

    #[test]
    fn impossible_times_are_no_reason_to_fail() {
        let mut out = Vec::new();
        let mut stamper = Stamper::new(*b"00O", false);
        stamper.push(UNIX_EPOCH - Duration::from_secs(1), b"\n", &mut out);
        stamper.push(UNIX_EPOCH + Duration::from_secs(1 << 45), b"\n", &mut out);
        assert_eq!(out, b"1970-01-01T00:00:00.000000Z 00O \n".repeat(2));
    }
}
