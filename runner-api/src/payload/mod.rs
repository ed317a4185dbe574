//! The job as GitLab hands it out.
//!
//! Decoding never loses a job: every field may be missing, `null`, of a wrong type or of a kind that this version does
//! not know. What could not be understood is listed by [`Job::warnings`]; the text as it was received stays available
//! through [`Job::raw`]. Only `id` and `token` are indispensable, because without them nothing can be told to the server;
//! an answer that lacks them becomes an [`UnreadableJob`].

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
mod policy;
mod recover;
mod secrets;
mod steps;
mod suspend;
#[cfg(test)]
mod tests;
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
