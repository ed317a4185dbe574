//! Cuts a job's bytes into lines.

/// A line that does not end is shown in pieces of this size, so that memory stays bounded.
const LONGEST: usize = 64 * 1024;

/// The part of a job's log that has not become a line yet.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// Adds bytes and returns the lines that are complete now.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.rest.len() >= LONGEST {
                lines.extend(self.finish());
            }
        }
        lines
    }

    /// The last line, if it has no end.
    pub(crate) fn finish(&mut self) -> Option<String> {
        if self.rest.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut self.rest);
        let text = String::from_utf8_lossy(&bytes);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        Some(text.strip_suffix('\r').unwrap_or(text).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, Lines};

    #[test]
    fn lines_are_whole() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"one\r\ntw"), ["one"]);
        assert_eq!(lines.push(b""), Vec::<String>::new());
        assert_eq!(lines.push("o\n\nthr\u{e4}".as_bytes()), ["two", ""]);
        assert_eq!(lines.finish().as_deref(), Some("thr\u{e4}"));
        assert_eq!(lines.finish(), None);
    }

    #[test]
    fn memory_is_bounded() {
        let mut lines = Lines::default();
        let shown: usize =
            (0..10).flat_map(|_| lines.push(&[b'x'; LONGEST / 2])).map(|line| line.len()).sum();
        assert_eq!(shown, 5 * LONGEST);
    }
}
