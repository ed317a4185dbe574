//! `git_info`: what to check out.

use std::fmt;

use url::Url;

use super::lenient::{Fields, Object, lenient_text};
use crate::text_enum::text_enum;

/// What to check out, and from where.
///
/// ```
/// use runner_api::payload::RefType;
///
/// let job = runner_api::Job::from_json(
///     r#"{"id": 1, "token": "t", "git_info": {"repo_url": "https://u:secret@h/a.git", "ref_type": "tag", "depth": 20}}"#,
/// )?;
/// assert_eq!(job.git_info.ref_type, Some(RefType::Tag));
/// assert!(!format!("{:?}", job.git_info).contains("secret"));
/// # Ok::<(), runner_api::UnreadableJob>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GitInfo {
    /// The repository's address. It contains the job token.
    pub repo_url: String,
    /// The repository's hash function; absent means [`ObjectFormat::Sha1`].
    pub repo_object_format: Option<ObjectFormat>,
    /// The name of the branch or tag.
    pub ref_name: String,
    /// The commit.
    pub sha: String,
    /// The commit before a push, or zeros.
    pub before_sha: String,
    /// Whether [`ref_name`](Self::ref_name) is a branch or a tag.
    pub ref_type: Option<RefType>,
    /// What to fetch.
    pub refspecs: Vec<String>,
    /// How many commits to fetch; 0 means all.
    pub depth: u64,
    /// Whether the ref is protected; `None` when the server does not say.
    pub protected: Option<bool>,
}

impl Object for GitInfo {
    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self {
            repo_url: fields.take("repo_url"),
            repo_object_format: fields.take_optional("repo_object_format"),
            ref_name: fields.take("ref"),
            sha: fields.take("sha"),
            before_sha: fields.take("before_sha"),
            ref_type: fields.take_optional("ref_type"),
            refspecs: fields.take("refspecs"),
            depth: fields.take("depth"),
            protected: fields.take_optional("protected"),
        }
    }
}

impl fmt::Debug for GitInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = Url::parse(&self.repo_url).map(|url| crate::base_url::without_secrets(&url));
        f.debug_struct("GitInfo")
            .field("repo_url", &url.unwrap_or_default())
            .field("ref_name", &self.ref_name)
            .field("ref_type", &self.ref_type)
            .field("sha", &self.sha)
            .field("depth", &self.depth)
            .finish_non_exhaustive()
    }
}

text_enum! {
    /// What a ref is.
    ///
    /// ```
    /// use runner_api::payload::RefType;
    /// assert_eq!(RefType::from("branch"), RefType::Branch);
    /// ```
    pub enum RefType {
        /// A branch.
        Branch = "branch",
        /// A tag.
        Tag = "tag",
    }
}

text_enum! {
    /// A repository's hash function.
    ///
    /// ```
    /// use runner_api::payload::ObjectFormat;
    /// assert_eq!(ObjectFormat::from("sha256").as_str(), "sha256");
    /// ```
    pub enum ObjectFormat {
        /// SHA-1, git's default.
        Sha1 = "sha1",
        /// SHA-256.
        Sha256 = "sha256",
    }
}

lenient_text!(RefType, ObjectFormat);
