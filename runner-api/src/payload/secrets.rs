//! `secrets`: where to fetch secrets from. Texts are as they were sent, before variable expansion.

use std::collections::BTreeMap;

use super::lenient::{Fields, Object};
use crate::secret::SecretText;

/// Defines structs whose fields have the names of the wire and may all be missing.
macro_rules! objects {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)+ }
    )+) => {$(
        $(#[$meta])*
        ///
        /// ```
        #[doc = concat!("let secret = runner_api::payload::", stringify!($name), "::default();")]
        #[doc = concat!("assert_eq!(secret, runner_api::payload::", stringify!($name), "::default());")]
        /// ```
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct $name { $($(#[$field_meta])* pub $field: $type,)+ }

        impl Object for $name {
            fn read(fields: &mut Fields<'_, '_>) -> Self {
                Self { $($field: fields.take(stringify!($field)),)+ }
            }
        }
    )+};
}

/// A secret to fetch before the job's scripts run. Exactly one provider is set; a job whose secret has none that the
/// runner knows runs without it.
///
/// ```
/// let job = runner_api::Job::from_json(
///     r#"{"id": 1, "token": "t", "secrets": {"PASSWORD": {"vault": {"path": "a/b", "field": "f"}, "file": null}}}"#,
/// )?;
/// let secret = &job.secrets["PASSWORD"];
/// assert_eq!(secret.vault.as_ref().map(|vault| vault.field.as_str()), Some("f"));
/// assert!(secret.is_file());
/// # Ok::<(), runner_api::UnreadableJob>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Secret {
    /// HashiCorp Vault.
    pub vault: Option<VaultSecret>,
    /// Google Cloud Secret Manager.
    pub gcp_secret_manager: Option<GcpSecretManagerSecret>,
    /// Azure Key Vault.
    pub azure_key_vault: Option<AzureKeyVaultSecret>,
    /// AWS Secrets Manager.
    pub aws_secrets_manager: Option<AwsSecretsManagerSecret>,
    /// GitLab's own secrets manager.
    pub gitlab_secrets_manager: Option<GitlabSecretsManagerSecret>,
    /// Whether the value goes to a file, as sent. See [`is_file`](Self::is_file).
    pub file: Option<bool>,
}

impl Secret {
    /// Whether the value goes to a file whose path becomes the variable's value. That is the default.
    ///
    /// ```
    /// assert!(runner_api::payload::Secret::default().is_file());
    /// ```
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.file.unwrap_or(true)
    }
}

impl Object for Secret {
    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self {
            vault: fields.take_optional("vault"),
            gcp_secret_manager: fields.take_optional("gcp_secret_manager"),
            azure_key_vault: fields.take_optional("azure_key_vault"),
            aws_secrets_manager: fields.take_optional("aws_secrets_manager"),
            gitlab_secrets_manager: fields.take_optional("gitlab_secrets_manager"),
            file: fields.take_optional("file"),
        }
    }
}

objects! {
    /// A secret in HashiCorp Vault.
    pub struct VaultSecret {
        /// The server and how to authenticate there.
        pub server: VaultServer,
        /// The secrets engine.
        pub engine: SecretEngine,
        /// The secret's path.
        pub path: String,
        /// The field of the secret.
        pub field: String,
    }

    /// A Vault server.
    pub struct VaultServer {
        /// Its address.
        pub url: String,
        /// Its namespace.
        pub namespace: String,
        /// How to authenticate.
        pub auth: VaultAuth,
    }

    /// How to authenticate at a Vault server.
    pub struct VaultAuth {
        /// The method's name, such as `jwt`.
        pub name: String,
        /// Where the method is mounted.
        pub path: String,
        /// What the method needs.
        pub data: BTreeMap<String, SecretText>,
    }

    /// A secrets engine.
    pub struct SecretEngine {
        /// Its name, such as `kv-v2`.
        pub name: String,
        /// Where it is mounted.
        pub path: String,
    }

    /// A secret in Google Cloud Secret Manager.
    pub struct GcpSecretManagerSecret {
        /// The secret's name.
        pub name: String,
        /// Its version.
        pub version: String,
        /// Where it is and how to authenticate.
        pub server: GcpSecretManagerServer,
    }

    /// Where Google Cloud Secret Manager is and how to authenticate.
    pub struct GcpSecretManagerServer {
        /// The project.
        pub project_number: String,
        /// The workload identity pool.
        pub workload_identity_federation_pool_id: String,
        /// The provider in that pool.
        pub workload_identity_federation_provider_id: String,
        /// The identity token, usually a variable.
        pub jwt: SecretText,
    }

    /// A secret in Azure Key Vault.
    pub struct AzureKeyVaultSecret {
        /// The secret's name.
        pub name: String,
        /// Its version.
        pub version: String,
        /// Where it is and how to authenticate.
        pub server: AzureKeyVaultServer,
    }

    /// Where an Azure Key Vault is and how to authenticate.
    pub struct AzureKeyVaultServer {
        /// The client.
        pub client_id: String,
        /// The tenant.
        pub tenant_id: String,
        /// The identity token, usually a variable.
        pub jwt: SecretText,
        /// The vault's address.
        pub url: String,
    }

    /// A secret in AWS Secrets Manager.
    pub struct AwsSecretsManagerSecret {
        /// The secret's name or ARN.
        pub secret_id: String,
        /// Its version.
        pub version_id: String,
        /// The stage of its version.
        pub version_stage: String,
        /// The field of the secret.
        pub field: String,
        /// The region; replaces the server's.
        pub region: String,
        /// The role to assume; replaces the server's.
        pub role_arn: String,
        /// The session's name; replaces the server's.
        pub role_session_name: String,
        /// Where it is and how to authenticate.
        pub server: AwsSecretsManagerServer,
    }

    /// Where AWS Secrets Manager is and how to authenticate.
    pub struct AwsSecretsManagerServer {
        /// The region.
        pub region: String,
        /// The identity token, usually a variable.
        pub jwt: SecretText,
        /// The role to assume.
        pub role_arn: String,
        /// The session's name.
        pub role_session_name: String,
    }

    /// A secret in GitLab's own secrets manager.
    pub struct GitlabSecretsManagerSecret {
        /// Where it is and how to authenticate.
        pub server: GitlabSecretsManagerServer,
        /// The secrets engine.
        pub engine: SecretEngine,
        /// The secret's path.
        pub path: String,
        /// The field of the secret.
        pub field: String,
    }

    /// Where GitLab's secrets manager is.
    pub struct GitlabSecretsManagerServer {
        /// Its address.
        pub url: String,
        /// How to authenticate.
        pub inline_auth: GitlabInlineAuth,
    }

    /// How to authenticate at GitLab's secrets manager.
    pub struct GitlabInlineAuth {
        /// The login path.
        pub path: String,
        /// The identity token.
        pub jwt: SecretText,
        /// The role.
        pub role: String,
        /// Where the method is mounted.
        pub auth_mount: String,
    }
}
