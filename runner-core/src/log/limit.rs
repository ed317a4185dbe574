//! Ends a job's output at its limit.

/// Counts a job's own output: neither timestamps nor lines that the runner writes.
#[derive(Debug, Clone)]
pub(super) struct OutputLimit {
    limit: u64,
    used: u64,
    reached: bool,
}

/// What [`OutputLimit::admit`] lets through.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Admitted<'a> {
    pub(super) text: &'a [u8],
    /// Whether the limit was reached just now: the [notice](OutputLimit::notice) is due behind the text.
    pub(super) last: bool,
}

impl OutputLimit {
    /// A limit in bytes, of which `used` are used up; `reached` says that no more is let through.
    pub(super) fn new(limit: u64, used: u64, reached: bool) -> Self {
        Self { limit, used, reached }
    }

    pub(super) fn used(&self) -> u64 {
        self.used
    }

    pub(super) fn is_reached(&self) -> bool {
        self.reached
    }

    /// Takes valid UTF-8; what does not fit any more is cut off between two characters.
    pub(super) fn admit<'a>(&mut self, text: &'a [u8]) -> Admitted<'a> {
        if self.reached {
            return Admitted { text: &[], last: false };
        }
        let room = self.limit.saturating_sub(self.used);
        if (text.len() as u64) < room {
            self.used += text.len() as u64;
            return Admitted { text, last: false };
        }
        let mut cut = usize::try_from(room).unwrap_or(usize::MAX).min(text.len());
        while text.get(cut).is_some_and(|byte| byte & 0xC0 == 0x80) {
            cut -= 1;
        }
        self.used += cut as u64;
        self.reached = true;
        Admitted { text: &text[..cut], last: true }
    }

    /// What the log says where the job's output ends.
    pub(super) fn notice(&self) -> String {
        format!(
            "\n\x1b[33;1mThe output of this job exceeded the limit of {} bytes.\nThe job goes on, but no more of its output is \
             collected.\x1b[0;m\n",
            self.limit
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_where_the_limit_is_reached() {
        let mut limit = OutputLimit::new(8, 0, false);
        assert_eq!(limit.admit(b"abcde"), Admitted { text: b"abcde", last: false });
        assert_eq!(limit.admit(b"fghij"), Admitted { text: b"fgh", last: true });
        assert_eq!(limit.admit(b"klm"), Admitted { text: b"", last: false });
        assert!(limit.notice().contains("limit of 8 bytes"));
    }

    #[test]
    fn text_that_fills_the_limit_exactly_reaches_it() {
        let mut limit = OutputLimit::new(3, 0, false);
        assert_eq!(limit.admit(b"abc"), Admitted { text: b"abc", last: true });
        assert!(limit.is_reached());
    }

    #[test]
    fn a_character_is_never_cut() {
        let mut limit = OutputLimit::new(4, 2, false);
        assert_eq!(limit.admit("€".as_bytes()), Admitted { text: b"", last: true });
        assert_eq!(limit.used(), 2);
        let mut limit = OutputLimit::new(5, 0, false);
        assert_eq!(limit.admit("aé€".as_bytes()), Admitted { text: "aé".as_bytes(), last: true });
    }
}
