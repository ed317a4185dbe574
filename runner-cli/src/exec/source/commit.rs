//! The commit that is checked out.

use crate::exec::git::{Git, GitError};

/// What git says of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Commit {
    /// Ids of the commits before it, as far as the clone has them.
    pub(crate) parents: Vec<String>,
    /// The first paragraph of the message on one line.
    pub(crate) subject: String,
    /// `NAME <EMAIL>`.
    pub(crate) author: String,
    /// When it was committed, as ISO 8601 has it.
    pub(crate) committed_at: String,
    /// What makes another commit look like this one: values of git's variables for author and committer.
    pub(crate) identity: Vec<(&'static str, String)>,
    /// The message, byte by byte.
    pub(crate) message: Vec<u8>,
}

const IDENTITY: [&str; 6] = [
    "GIT_AUTHOR_NAME",
    "GIT_AUTHOR_EMAIL",
    "GIT_AUTHOR_DATE",
    "GIT_COMMITTER_NAME",
    "GIT_COMMITTER_EMAIL",
    "GIT_COMMITTER_DATE",
];

/// The message comes last, because it may hold anything.
const FORMAT: &str = "--format=%P%x00%s%x00%cI%x00%an%x00%ae%x00%ad%x00%cn%x00%ce%x00%cd%x00%B";

impl Commit {
    /// Reads a commit.
    pub(super) fn read(git: &Git, sha: &str) -> Result<Self, GitError> {
        let answer = git.output(&["show", "--no-patch", "--date=raw", FORMAT, sha], &[])?;
        let mut fields = answer.splitn(10, |byte| *byte == 0);
        let mut text = || String::from_utf8_lossy(fields.next().unwrap_or_default()).into_owned();
        let (parents, subject, committed_at) = (text(), text(), text());
        let identity: Vec<(&'static str, String)> = IDENTITY.map(|name| (name, text())).into();
        let value = |wanted: &str| {
            identity.iter().find(|(name, _)| *name == wanted).map_or("", |(_, value)| value.as_str())
        };
        Ok(Self {
            parents: parents.split(' ').filter(|sha| !sha.is_empty()).map(str::to_owned).collect(),
            subject,
            author: format!("{} <{}>", value("GIT_AUTHOR_NAME"), value("GIT_AUTHOR_EMAIL")),
            committed_at,
            message: fields.next().unwrap_or_default().to_vec(),
            identity,
        })
    }

    /// The message as text, without white space at the end.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.message).trim_end().to_owned()
    }
}
