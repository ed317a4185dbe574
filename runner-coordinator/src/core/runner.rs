//! Runners and their managers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::SystemTime;

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
    /// Its managers by system id.
    pub managers: BTreeMap<String, Manager>,
    /// Value of its queue, the `X-GitLab-Last-Update` cursor: changes when there may be work for it.
    pub(super) queue_value: String,
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
            managers: BTreeMap::new(),
            queue_value,
        }
    }

    /// Whether it was created in GitLab rather than registered with a registration token.
    #[must_use]
    pub fn is_created(&self) -> bool {
        self.token.expose_secret().starts_with("glrt-")
    }

    pub(super) fn answers_to(&self, token: &str, now: SystemTime) -> bool {
        self.token.expose_secret() == token && self.token_expires_at.is_none_or(|end| now < end)
    }

    /// Whether tags and protection let it run the job.
    pub(super) fn matches(&self, job: &JobRecord) -> bool {
        let tags = if job.tags.is_empty() { self.run_untagged } else { job.tags.is_subset(&self.tags) };
        tags && (!self.protected || job.is_of_protected_ref())
    }
}

/// A time as GitLab writes it in JSON: `2026-01-02T03:04:05.678Z`.
pub(super) struct Iso8601(pub(super) SystemTime);

impl fmt::Display for Iso8601 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.0.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z",
            since.subsec_millis()
        )
    }
}

/// Gregorian date of a day counted from 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    // Years that begin in March make the leap day the last of the year.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}
