//! What the host knows about the repository, the commit and the user before a pipeline exists.

use std::time::SystemTime;

use super::remote::Remote;

/// Everything that the predefined variables and the git part of a payload are made of, filled by the host, mostly
/// from git. Plain data; nothing here is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Where the project lives. `None`: the project counts as `local/<directory>` of [`Facts::server_url`].
    pub remote: Option<Remote>,
    /// Name of the checkout's folder; used without a remote.
    pub directory: String,
    /// What the pipeline runs for.
    pub git_ref: GitRef,
    /// Full id of the commit.
    pub sha: String,
    /// Full id of the commit before, or 40 zeros.
    pub before_sha: String,
    /// Whole message of the commit.
    pub message: String,
    /// Author as `Name <mail>`.
    pub author: String,
    /// Date of the commit, ISO 8601 with zone.
    pub timestamp: String,
    /// Name of the default branch.
    pub default_branch: String,
    /// Path of the pipeline's file, relative to the repository.
    pub config_path: String,
    /// Whether the ref is protected.
    pub protected: bool,
    /// `CI_PIPELINE_SOURCE`: `push`, `schedule`, `parent_pipeline`, …
    pub source: String,
    /// Id of the pipeline.
    pub pipeline_id: u64,
    /// Number of the pipeline within its project.
    pub pipeline_iid: u64,
    /// When the pipeline was made.
    pub created_at: SystemTime,
    /// Address of the coordinator, `http://localhost:1234`; used as the server's without a remote.
    pub server_url: String,
    /// Where jobs fetch the sources from, without credentials.
    pub repository_url: String,
    /// Object format of the repository: `sha1` or `sha256`.
    pub object_format: String,
    /// Host of the container registry; `None` is what a server without one looks like.
    pub registry: Option<String>,
    /// Who started the pipeline.
    pub user: User,
}

/// What a pipeline runs for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitRef {
    /// A branch. A detached commit that no tag names counts as a branch with the short id as its name; the host then
    /// offers it under `refs/heads` as well.
    Branch(String),
    /// A tag.
    Tag {
        /// Name.
        name: String,
        /// Message of an annotated tag.
        message: Option<String>,
    },
    /// A merge request that does not exist on a server.
    MergeRequest(MergeRequest),
}

impl GitRef {
    /// `CI_COMMIT_REF_NAME`: the branch, the tag, or the merge request's source branch.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Branch(name) | Self::Tag { name, .. } => name,
            Self::MergeRequest(request) => &request.source_branch,
        }
    }
}

/// A merge request as pipelines see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeRequest {
    /// Branch to be merged.
    pub source_branch: String,
    /// Branch to merge into.
    pub target_branch: String,
    /// Tip of the source branch.
    pub source_sha: String,
    /// Tip of the target branch.
    pub target_sha: String,
    /// Merge base of both.
    pub base_sha: String,
    /// Title.
    pub title: String,
}

/// Who started a pipeline.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// Number: the uid of a local user.
    pub id: u64,
    /// Login name.
    pub login: String,
    /// Full name.
    pub name: String,
    /// Mail address.
    pub email: String,
}
