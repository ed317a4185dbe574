//! `cache`: what to restore at the beginning and save at the end.

use super::lenient::{Fields, Object, lenient_text};
use super::steps::When;
use crate::text_enum::text_enum;

/// One cache of a job.
///
/// ```
/// use runner_api::payload::CachePolicy;
///
/// let job = runner_api::Job::from_json(
///     r#"{"id": 1, "token": "t", "cache": [{"key": "k", "paths": ["target"], "policy": "pull"}]}"#,
/// )?;
/// assert_eq!(job.cache[0].policy, Some(CachePolicy::Pull));
/// # Ok::<(), runner_api::UnreadableJob>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheSpec {
    /// The key, before variable expansion.
    pub key: String,
    /// Whether files that git does not track are added.
    pub untracked: bool,
    /// Whether to restore, to save, or both; absent means both. Variables in it arrive as
    /// [`Other`](CachePolicy::Other).
    pub policy: Option<CachePolicy>,
    /// Paths and patterns, relative to the project folder.
    pub paths: Vec<String>,
    /// When to save; absent means after a success.
    pub when: Option<When>,
    /// Keys to try when nothing is found under [`key`](Self::key).
    pub fallback_keys: Vec<String>,
}

impl Object for CacheSpec {
    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self {
            key: fields.take("key"),
            untracked: fields.take("untracked"),
            policy: fields.take_optional("policy").filter(|policy: &CachePolicy| !policy.as_str().is_empty()),
            paths: fields.take("paths"),
            when: fields.take_optional("when").filter(|when: &When| !when.as_str().is_empty()),
            fallback_keys: fields.take("fallback_keys"),
        }
    }
}

text_enum! {
    /// What is done with a cache.
    ///
    /// ```
    /// use runner_api::payload::CachePolicy;
    /// assert_eq!(CachePolicy::from("pull-push"), CachePolicy::PullPush);
    /// ```
    pub enum CachePolicy {
        /// Restored and saved, the default.
        PullPush = "pull-push",
        /// Only restored.
        Pull = "pull",
        /// Only saved.
        Push = "push",
    }
}

lenient_text!(CachePolicy);
