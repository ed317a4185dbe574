//! The end of a log whose storage has failed.

use std::ops::Range;

/// The bytes that the storage did not take, in memory: the job ends, and GitLab shall see its last output and the reason.
#[derive(Debug)]
pub(super) struct Tail {
    /// Where it begins: what lies before is in the spool.
    start: u64,
    bytes: Vec<u8>,
}

impl Tail {
    pub(super) fn new(start: u64) -> Self {
        Self { start, bytes: Vec::new() }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn start(&self) -> u64 {
        self.start
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes at these positions of the log, as far as they are here.
    pub(super) fn part(&self, range: Range<u64>) -> &[u8] {
        let index = |at: u64| {
            usize::try_from(at.saturating_sub(self.start)).unwrap_or(usize::MAX).min(self.bytes.len())
        };
        self.bytes.get(index(range.start)..index(range.end)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_those_of_the_log() {
        let mut tail = Tail::new(10);
        tail.push(b"hello");
        assert_eq!(tail.part(0..12), b"he");
        assert_eq!(tail.part(12..14), b"ll");
        assert_eq!(tail.part(12..99), b"llo");
        assert_eq!(tail.part(20..30), b"");
        assert_eq!(tail.part(0..5), b"");
    }
}
