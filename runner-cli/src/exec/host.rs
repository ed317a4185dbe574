//! What a running pipeline asks of this machine: job tickets, git object ids.

use std::collections::HashMap;

use base64::Engine;
use hmac::{Hmac, KeyInit, Mac};
use runner_coordinator::core::{JobId, JobTicket};
use runner_coordinator::http::Handle;
use runner_coordinator::pipeline::ForeignNeed;
use runner_coordinator::run::{ArchiveInfo, Host};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;

use super::git::Git;
use super::resources::Resources;
use super::supplied::Supplied;

/// The pipeline's host.
#[derive(Debug)]
pub(super) struct LocalHost {
    /// The coordinator, which makes tickets.
    pub(super) coordinator: Handle,
    /// Git that sees the commit.
    pub(super) git: Git,
    /// The commit.
    pub(super) sha: String,
    /// Artifacts of other pipelines that the user gave.
    pub(super) supplied: Supplied,
    /// Path of the project.
    pub(super) path: Option<String>,
    /// Archives of jobs of this run, by number of the pipeline and name.
    pub(super) archives: HashMap<(u64, String), (JobId, ArchiveInfo)>,
    /// Resource groups, and who has them.
    pub(super) resources: Resources,
    /// Signs id tokens; made for this run and forgotten with it.
    pub(super) key: SecretSlice<u8>,
}

impl Host for LocalHost {
    fn ticket(&mut self) -> JobTicket {
        self.coordinator.reserve_job()
    }

    fn object_ids(&self, globs: &[String], last_commits: bool) -> Vec<String> {
        object_ids(&self.git, &self.sha, globs, last_commits)
    }

    fn id_token(&self, claims: &serde_json::Value) -> Option<String> {
        token(self.key.expose_secret(), claims)
    }

    fn foreign_archive(&self, need: &ForeignNeed) -> Option<(JobId, ArchiveInfo)> {
        let own = self.path.as_deref();
        // What the user gives is meant, also where this run could give something else.
        self.supplied.find(need, own).or_else(|| {
            let pipeline = need.pipeline.as_ref().filter(|_| need.project.is_none())?.parse().ok()?;
            self.archives.get(&(pipeline, need.job.clone())).cloned()
        })
    }

    fn take_resource(&mut self, group: &str, job: &str) -> bool {
        self.resources.take(group, job)
    }

    fn release_resource(&mut self, group: &str) {
        self.resources.release(group);
    }
}

/// Git object ids of files at a commit, or of the commits that changed them last.
pub(super) fn object_ids(git: &Git, sha: &str, globs: &[String], last_commits: bool) -> Vec<String> {
    let patterns: Vec<String> = globs.iter().map(|glob| format!(":(top,glob){glob}")).collect();
    if last_commits {
        let last = |pattern: &String| git.maybe(&["log", "-1", "--format=%H", sha, "--", pattern]);
        return patterns.iter().filter_map(last).collect();
    }
    // A listing of a tree does not know globs; a comparison with nothing does.
    let Ok(nothing) = git.text(&["hash-object", "-t", "tree", "/dev/null"]) else {
        return Vec::new();
    };
    let mut arguments = vec!["diff-tree", "-r", "--no-abbrev", &nothing, sha, "--"];
    arguments.extend(patterns.iter().map(String::as_str));
    let listing = git.text(&arguments).unwrap_or_default();
    // `:000000 100644 OLD NEW A<tab>PATH`
    listing.lines().filter_map(|line| line.split(' ').nth(3).map(str::to_owned)).collect()
}

/// A JSON Web Token, signed with HMAC-SHA-256 (RFC 7515, RFC 7519).
fn token(key: &[u8], claims: &serde_json::Value) -> Option<String> {
    let encode = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    let header = encode(br#"{"alg":"HS256","kid":"local","typ":"JWT"}"#);
    let signed = format!("{header}.{}", encode(claims.to_string().as_bytes()));
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(signed.as_bytes());
    Some(format!("{signed}.{}", encode(&mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::token;

    #[test]
    fn tokens_are_signed() {
        let signed = token(b"key", &serde_json::json!({"iss": "me"})).unwrap();
        // `printf HEADER.PAYLOAD | openssl dgst -sha256 -hmac key -binary | basenc --base64url`
        assert_eq!(
            signed,
            "eyJhbGciOiJIUzI1NiIsImtpZCI6ImxvY2FsIiwidHlwIjoiSldUIn0.eyJpc3MiOiJtZSJ9.SReydxLUnhsB8aGg_wTbZ7yTvI1QqkB5yvxOmo863bE"
        );
    }
}
