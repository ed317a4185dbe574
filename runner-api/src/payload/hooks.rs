//! `hooks`: scripts around the preparation of sources.

use super::lenient::{Fields, Object, lenient_text};
use crate::text_enum::text_enum;

/// A script that runs before or after the sources are prepared.
///
/// ```
/// use runner_api::payload::HookName;
///
/// let job = runner_api::Job::from_json(
///     r#"{"id": 1, "token": "t", "hooks": [{"name": "pre_get_sources_script", "script": ["env"]}]}"#,
/// )?;
/// assert_eq!(job.hooks[0].name, HookName::PreGetSources);
/// # Ok::<(), runner_api::UnreadableJob>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hook {
    /// When it runs.
    pub name: HookName,
    /// The lines.
    pub script: Vec<String>,
}

impl Object for Hook {
    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self {
            name: fields.take_optional("name").unwrap_or_else(|| HookName::Other(String::new())),
            script: fields.take("script"),
        }
    }
}

text_enum! {
    /// When a hook runs.
    ///
    /// ```
    /// use runner_api::payload::HookName;
    /// assert_eq!(HookName::from("post_get_sources_script"), HookName::PostGetSources);
    /// ```
    pub enum HookName {
        /// Before the sources are prepared.
        PreGetSources = "pre_get_sources_script",
        /// After that.
        PostGetSources = "post_get_sources_script",
    }
}

lenient_text!(HookName);
