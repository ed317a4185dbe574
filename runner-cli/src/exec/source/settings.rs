//! Git's configuration.

use std::collections::BTreeSet;

use crate::exec::git::{Git, GitError};

/// All settings that hold, in git's order: a later one wins over an earlier one of the same name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    /// Names as git has them: section and key in small letters, the part between them as written.
    all: Vec<(String, String)>,
}

impl Settings {
    /// Asks git.
    pub(super) fn read(git: &Git) -> Result<Self, GitError> {
        let listing = git.output(&["config", "--list", "-z"], &[])?;
        let setting = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            // A key without `=` is true.
            let (name, value) = text.split_once('\n').unwrap_or((&text, "true"));
            (name.to_owned(), value.to_owned())
        };
        let settings = listing.split(|byte| *byte == 0).filter(|setting| !setting.is_empty());
        Ok(Self { all: settings.map(setting).collect() })
    }

    /// The value that counts; `None` also for an empty one.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values(name).last().filter(|value| !value.is_empty())
    }

    /// All values of a name.
    pub(crate) fn values(&self, name: &str) -> impl DoubleEndedIterator<Item = &str> {
        self.all.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Names of the remotes.
    pub(crate) fn remotes(&self) -> BTreeSet<&str> {
        let keys = self.all.iter().filter_map(|(key, _)| key.strip_prefix("remote."));
        keys.filter_map(|rest| rest.rsplit_once('.')).map(|(name, _)| name).collect()
    }

    /// Whether any URL is to be replaced by another one.
    pub(crate) fn rewrites_urls(&self) -> bool {
        self.all.iter().any(|(key, _)| key.starts_with("url.") && key.ends_with("insteadof"))
    }

    /// Whether a branch has an upstream branch.
    pub(crate) fn has_upstream(&self, branch: &str) -> bool {
        self.get(&format!("branch.{branch}.merge")).is_some()
    }

    /// Whether a remote promised objects that are missing.
    pub(super) fn has_promisor(&self) -> bool {
        self.all.iter().any(|(key, _)| key.starts_with("remote.") && key.ends_with(".promisor"))
    }
}
