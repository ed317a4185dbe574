//! The job as GitLab hands it out.
//!
//! Decoding never loses a job: every field may be missing, `null`, of a wrong type or of a kind that this version does
//! not know. Only `id` and `token` are indispensable, because without them nothing can be told to the server; an answer
//! that lacks them becomes an [`UnreadableJob`].
//!
//! | What arrives | What becomes of it |
//! | --- | --- |
//! | `null` | as if absent |
//! | a field of a wrong type | the field, or the list's item, has its default; [`Job::warnings`] names the place |
//! | a number for a text, a text for a number, `7.0`, `7e0` | what it evidently means |
//! | one text for a list of texts | a list of one |
//! | an unknown field | in [`Job::unknown_fields`] |
//! | an unknown value of an enumeration | in the variant `Other` |
//! | a key in other letter case | the same key; one written exactly is preferred |
//! | a key twice | the last one that is not `null` |
//! | a number beyond the field's range | a wrong type |
//! | deep nesting | a wrong type from 128 levels on where any value is allowed, else nothing special |
//! | a lone half of a surrogate pair, invalid UTF-8 | U+FFFD |
//! | a byte order mark in front | nothing special |
//! | an object that breaks off, or is not JSON | an [`UnreadableJob`], with id and token if they can be found |
//!
//! The text as it was received stays available through [`Job::raw`].
//!
//! ```
//! let job = runner_api::Job::from_json(r#"{"ID": "7", "token": "t", "git_info": {"depth": "20", "ref": []}}"#)?;
//! assert_eq!((job.id, job.git_info.depth), (7, 20));
//! assert_eq!(job.warnings()[0].path(), "$.git_info.ref");
//! # Ok::<(), runner_api::UnreadableJob>(())
//! ```

mod artifacts;
mod cache;
mod credentials;
mod dependencies;
mod features;
mod git_info;
mod hooks;
mod image;
mod inputs;
mod job;
mod job_info;
mod lenient;
mod mend;
mod notes;
mod policy;
mod recover;
mod secrets;
mod steps;
mod suspend;
#[cfg(test)]
mod tests;
mod text;
mod variables;
mod warning;

pub use artifacts::{ArtifactFormat, ArtifactSpec};
pub use cache::{CachePolicy, CacheSpec};
pub use credentials::RegistryCredentials;
pub use dependencies::{Dependency, DependencyFile};
pub use features::{JobFeatures, OtelAuth, OtelEndpoint, TracingInfo};
pub use git_info::{GitInfo, ObjectFormat, RefType};
pub use hooks::{Hook, HookName};
pub use image::{DockerOptions, ExecutorOptions, Image, KubernetesOptions, Port, PullPolicy};
pub use inputs::{InputKind, InputValue, JobInput};
pub use job::Job;
pub use job_info::{JobInfo, JobRunnerInfo};
pub use notes::UnknownField;
pub use policy::PolicyOptions;
pub use recover::UnreadableJob;
pub use secrets::{
    AwsSecretsManagerSecret, AwsSecretsManagerServer, AzureKeyVaultSecret, AzureKeyVaultServer,
    GcpSecretManagerSecret, GcpSecretManagerServer, GitlabInlineAuth, GitlabSecretsManagerSecret,
    GitlabSecretsManagerServer, Secret, SecretEngine, VaultAuth, VaultSecret, VaultServer,
};
pub use steps::{Step, StepName, When};
pub use suspend::SuspendOptions;
pub use variables::JobVariable;
pub use warning::Warning;
