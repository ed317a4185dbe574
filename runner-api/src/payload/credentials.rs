//! `credentials`: for image registries.

use super::lenient::{Fields, Object};
use crate::secret::SecretText;

/// Credentials for pulling images.
///
/// ```
/// let job = runner_api::Job::from_json(
///     r#"{"id": 1, "token": "t", "credentials": [{"type": "registry", "url": "r.example.com", "password": "s3cret"}]}"#,
/// )?;
/// assert_eq!(job.credentials[0].password.as_ref().map(|password| password.expose()), Some("s3cret"));
/// assert!(!format!("{:?}", job.credentials).contains("s3cret"));
/// # Ok::<(), runner_api::UnreadableJob>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistryCredentials {
    /// What they are for; only `registry` is in use.
    pub kind: String,
    /// The registry.
    pub url: String,
    /// The user name.
    pub username: String,
    /// The password.
    pub password: Option<SecretText>,
}

impl Object for RegistryCredentials {
    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self {
            kind: fields.take("type"),
            url: fields.take("url"),
            username: fields.take("username"),
            password: fields.take_optional("password"),
        }
    }
}
