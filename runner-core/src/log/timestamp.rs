//! Puts a header with time and stream before each line of the log.
//!
//! A header has 32 bytes: `2026-11-23T10:00:00.123456Z 01O ` is the time in UTC, two hexadecimal digits for the source of
//! the line, `O` for standard output or `E` for standard error, and a flag: a blank begins a line, `+` continues the last
//! line of the same stream. So text need not wait for its line's end: it gets a line end that the reader takes out again.
//!
//! Source: GitLab's documentation, feature flag `FF_TIMESTAMPS`.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use memchr::memchr;

/// Stamps one stream.
#[derive(Debug, Clone)]
pub(super) struct Stamper {
    /// Two hexadecimal digits and `O` or `E`.
    stream: &'static str,
    /// The stream's last line is not at its end.
    continues: bool,
    /// A line of the log is begun and has no line end yet.
    open: bool,
    /// The last second that was written, and its text: `2026-11-23T10:00:00`.
    second: (u64, String),
}

impl Stamper {
    /// A stamper for the stream `stream`, whose last line goes on if it `continues`.
    pub(super) fn new(stream: &'static str, continues: bool) -> Self {
        Self { stream, continues, open: false, second: (0, "1970-01-01T00:00:00".into()) }
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
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        if since.as_secs() != self.second.0 {
            let second =
                i64::try_from(since.as_secs()).ok().and_then(|second| Timestamp::from_second(second).ok());
            let text = second.unwrap_or(Timestamp::UNIX_EPOCH).to_string();
            self.second = (since.as_secs(), text.trim_end_matches('Z').to_owned());
        }
        let mut fraction = *b".000000Z ";
        let mut micros = since.subsec_micros();
        for digit in fraction[1..7].iter_mut().rev() {
            *digit = b'0' + (micros % 10) as u8;
            micros /= 10;
        }
        out.extend_from_slice(self.second.1.as_bytes());
        out.extend_from_slice(&fraction);
        out.extend_from_slice(self.stream.as_bytes());
        out.push(if self.continues { b'+' } else { b' ' });
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
        let mut stamper = Stamper::new("01O", false);
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
        let mut stamper = Stamper::new("01E", false);
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
        let mut stamper = Stamper::new("00O", true);
        stamper.push(at(0), b"on", &mut out);
        stamper.push(at(0), b"e", &mut out);
        stamper.end_piece(&mut out);
        assert_eq!(out, b"2026-11-23T10:00:00.000000Z 00O+one\n");
        assert!(stamper.continues());
    }

    #[test]
    fn impossible_times_are_no_reason_to_fail() {
        let mut out = Vec::new();
        let mut stamper = Stamper::new("00O", false);
        stamper.push(UNIX_EPOCH - Duration::from_secs(1), b"\n", &mut out);
        stamper.push(UNIX_EPOCH + Duration::from_secs(1 << 45), b"\n", &mut out);
        assert_eq!(out, b"1970-01-01T00:00:00.000000Z 00O \n".repeat(2));
    }
}
