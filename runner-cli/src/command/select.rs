//! Choosing entries of the configuration.

use runner_api::SecretText;

use super::Context;
use crate::config::{Loaded, Resolved};
use crate::error::CliError;

/// What an entry has to be like; what is `None` does not matter.
#[derive(Debug, Default)]
pub(super) struct Selector<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) url: Option<&'a str>,
    pub(super) token: Option<&'a SecretText>,
    pub(super) id: Option<u64>,
}

impl Selector<'_> {
    /// Whether it matches every entry.
    pub(super) fn is_empty(&self) -> bool {
        self.name.is_none() && self.url.is_none() && self.token.is_none() && self.id.is_none()
    }

    /// The entries that match, resolved.
    ///
    /// # Errors
    /// When no entry matches, or one that matches by its name cannot be resolved.
    pub(super) fn apply(&self, context: &Context, loaded: &Loaded) -> Result<Vec<Resolved>, CliError> {
        let system_id = context.system_id();
        let mut found = Vec::new();
        for (position, runner) in loaded.config.runners.iter().enumerate() {
            let named = self.name.is_none_or(|name| runner.name == name);
            let known = self.id.is_none_or(|id| runner.id == id);
            if !named || !known {
                continue;
            }
            let entry = loaded.contact(position, &system_id, &context.host.environment)?;
            let here = self.url.is_none_or(|url| same_url(url, entry.identity.url.as_str()));
            let same = self.token.is_none_or(|token| token.expose() == entry.identity.token.expose());
            if here && same {
                found.push(entry);
            }
        }
        if found.is_empty() {
            return Err(CliError::Usage(format!(
                "no runner in {} matches; `runner list` shows all",
                context.config.display()
            )));
        }
        Ok(found)
    }
}

fn same_url(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}
