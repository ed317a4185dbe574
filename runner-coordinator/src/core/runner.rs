//! Runners and their managers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::ids::RunnerId;
use super::job::JobRecord;

/// System id under which GitLab keeps a manager that sent none.
pub const LEGACY_SYSTEM_ID: &str = "<legacy>";

/// A runner to create, as an administrator would in GitLab's user interface.
#[derive(Debug, Clone)]
pub struct NewRunner {
    /// Authentication token; made up (`glrt-…`) when absent.
    pub token: Option<SecretString>,
    /// When the token stops being valid.
    pub token_expires_at: Option<SystemTime>,
    /// Description.
    pub description: String,
    /// Tags.
    pub tags: BTreeSet<String>,
    /// Whether it takes jobs without tags.
    pub run_untagged: bool,
    /// Whether it takes no jobs.
    pub paused: bool,
    /// Whether it is locked to its project.
    pub locked: bool,
    /// Whether it takes only jobs of protected refs (`access_level` `ref_protected`).
    pub protected: bool,
    /// Longest job timeout in seconds.
    pub maximum_timeout: Option<u64>,
    /// Maintenance note.
    pub maintenance_note: String,
}

impl Default for NewRunner {
    /// Takes every job.
    fn default() -> Self {
        Self {
            token: None,
            token_expires_at: None,
            description: String::new(),
            tags: BTreeSet::new(),
            run_untagged: true,
            paused: false,
            locked: false,
            protected: false,
            maximum_timeout: None,
            maintenance_note: String::new(),
        }
    }
}

/// Id and token of a runner that was created.
#[derive(Debug, Clone)]
pub struct CreatedRunner {
    /// The id.
    pub id: RunnerId,
    /// The authentication token.
    pub token: SecretString,
}

/// A runner.
#[derive(Debug)]
#[non_exhaustive]
pub struct Runner {
    /// Its id.
    pub id: RunnerId,
    /// Its authentication token.
    pub token: SecretString,
    /// When the token stops being valid.
    pub token_expires_at: Option<SystemTime>,
    /// Description.
    pub description: String,
    /// Tags.
    pub tags: BTreeSet<String>,
    /// Whether it takes jobs without tags.
    pub run_untagged: bool,
    /// Whether it takes no jobs.
    pub paused: bool,
    /// Whether it is locked to its project.
    pub locked: bool,
    /// Whether it takes only jobs of protected refs.
    pub protected: bool,
    /// Longest job timeout in seconds.
    pub maximum_timeout: Option<u64>,
    /// Maintenance note.
    pub maintenance_note: String,
    /// Whether it has lost its owner.
    pub orphaned: bool,
    /// Its managers by system id.
    pub managers: BTreeMap<String, Manager>,
    /// Value of its queue, the `X-GitLab-Last-Update` cursor: changes when there may be work for it.
    pub(super) queue_value: String,
    /// Tokens that a reset replaced, and until when they are still accepted.
    pub(super) former_tokens: Vec<(SecretString, SystemTime)>,
}

/// One installation of a runner: those that share its token differ by system id.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Manager {
    /// `info` as last sent.
    pub info: Value,
    /// When it was last heard of.
    pub contacted_at: SystemTime,
}

impl Runner {
    pub(super) fn new(id: RunnerId, token: SecretString, new: NewRunner, queue_value: String) -> Self {
        Self {
            id,
            token,
            token_expires_at: new.token_expires_at,
            description: new.description,
            tags: new.tags,
            run_untagged: new.run_untagged,
            paused: new.paused,
            locked: new.locked,
            protected: new.protected,
            maximum_timeout: new.maximum_timeout,
            maintenance_note: new.maintenance_note,
            orphaned: false,
            managers: BTreeMap::new(),
            queue_value,
            former_tokens: Vec::new(),
        }
    }

    /// Whether it was created in GitLab rather than registered with a registration token.
    #[must_use]
    pub fn is_created(&self) -> bool {
        self.token.expose_secret().starts_with("glrt-")
    }

    pub(super) fn answers_to(&self, token: &str, now: SystemTime) -> bool {
        let current =
            self.token.expose_secret() == token && self.token_expires_at.is_none_or(|end| now < end);
        current
            || self.former_tokens.iter().any(|(former, end)| former.expose_secret() == token && now < *end)
    }

    /// Replaces the token; the former one stays valid for `grace`.
    pub(super) fn rotate(
        &mut self,
        token: SecretString,
        expires_at: Option<SystemTime>,
        grace: Duration,
        now: SystemTime,
    ) {
        self.former_tokens.retain(|(_, end)| now < *end);
        let former = std::mem::replace(&mut self.token, token);
        if let Some(end) = now.checked_add(grace).filter(|end| now < *end) {
            self.former_tokens.push((former, end));
        }
        self.token_expires_at = expires_at;
    }

    /// Whether tags and protection let it run the job.
    pub(super) fn matches(&self, job: &JobRecord) -> bool {
        let tags = if job.tags.is_empty() { self.run_untagged } else { job.tags.is_subset(&self.tags) };
        tags && (!self.protected || job.is_of_protected_ref())
    }
}
