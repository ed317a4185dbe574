//! The system id: tells apart the managers that share one runner token. Kept in `.runner_system_id` beside the configuration.
//!
//! Source: GitLab documentation, "Runner fleet: unique system id".

use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::store;

const FILE: &str = ".runner_system_id";
/// Characters after the prefix.
const LENGTH: usize = 12;
/// The official runner's message for the keyed hash: the same machine gets the same id from both programs.
const MESSAGE: &[u8] = b"gitlab-runner";

/// `s_` (from the machine's id) or `r_` (random) and twelve letters or digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SystemId(String);

impl SystemId {
    /// The id beside `config`. Without one, a new one is made from the machine's id, or at random if there is none, and
    /// written; that the file cannot be written is only worth a warning.
    pub(crate) fn beside(config: &Path, machine_id: Option<&str>) -> Self {
        let path = config.with_file_name(FILE);
        if let Some(id) = std::fs::read_to_string(&path).ok().and_then(|text| Self::parse(&text)) {
            return id;
        }
        let id = Self::new(machine_id);
        if let Err(error) = store::write(&path, &id.0) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the system id is not kept: this manager will look like a new one after a restart"
            );
        }
        id
    }

    /// An id that is kept nowhere.
    pub(crate) fn new(machine_id: Option<&str>) -> Self {
        let machine = machine_id.map(str::trim).filter(|id| !id.is_empty());
        match machine.and_then(|id| Hmac::<Sha256>::new_from_slice(id.as_bytes()).ok()) {
            Some(mut mac) => {
                mac.update(MESSAGE);
                let digest = mac.finalize().into_bytes();
                let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                Self(format!("s_{}", hex.get(..LENGTH).unwrap_or(&hex)))
            }
            None => {
                let random = uuid::Uuid::new_v4().simple().to_string();
                Self(format!("r_{}", random.get(..LENGTH).unwrap_or(&random)))
            }
        }
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let rest = text.strip_prefix("s_").or_else(|| text.strip_prefix("r_"))?;
        let valid = rest.len() == LENGTH && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
        valid.then(|| Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::SystemId;

    #[test]
    fn the_machine_decides() {
        // echo -n gitlab-runner | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
        let id = SystemId::new(Some("0123456789abcdef0123456789abcdef\n"));
        assert_eq!(id.as_str(), "s_ee3af03959fe");
        let random = SystemId::new(None);
        assert!(random.as_str().starts_with("r_"));
        assert_ne!(random, SystemId::new(Some("")));
    }

    #[test]
    fn scenario_25_it_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.toml");
        let first = SystemId::beside(&config, None);
        assert_eq!(SystemId::beside(&config, Some("machine")), first);
        std::fs::write(folder.path().join(".runner_system_id"), "no id").unwrap();
        assert_eq!(SystemId::beside(&config, Some("machine")), SystemId::new(Some("machine")));
    }
}
