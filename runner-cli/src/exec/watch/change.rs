//! What has changed, in words.

use std::fmt;

/// The difference between two marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// Files, relative to the root where they lie inside.
    pub(super) files: Vec<String>,
    /// The commit or branch that is checked out now, in words.
    pub(super) head: Option<String>,
}

impl fmt::Display for Change {
    /// `src/lib.rs and 2 more`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(head) = &self.head {
            f.write_str(head)?;
        }
        let Some((first, others)) = self.files.split_first() else { return Ok(()) };
        if self.head.is_some() {
            f.write_str("; ")?;
        }
        if first.chars().any(char::is_control) {
            write!(f, "{first:?}")?;
        } else {
            f.write_str(first)?;
        }
        if others.is_empty() { Ok(()) } else { write!(f, " and {} more", others.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::Change;

    #[test]
    fn in_words() {
        let change = |files: &[&str], head: Option<&str>| {
            let files = files.iter().map(|file| (*file).to_owned()).collect();
            Change { files, head: head.map(str::to_owned) }.to_string()
        };
        assert_eq!(change(&["a b"], None), "a b");
        assert_eq!(change(&["a", "b", "c"], None), "a and 2 more");
        assert_eq!(change(&["a\nb", "c"], None), "\"a\\nb\" and 1 more");
        assert_eq!(change(&[], Some("branch is now x")), "branch is now x");
        assert_eq!(change(&["a", "b"], Some("HEAD is now 1234")), "HEAD is now 1234; a and 1 more");
    }
}
