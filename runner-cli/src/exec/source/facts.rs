//! Facts about the repository, the commit and the user, read from git.

use std::path::Path;

use runner_coordinator::run::{GitRef, MergeRequest, Remote, User};

use super::checkout::Checkout;
use super::snapshot::Snapshot;
use crate::exec::git::Git;

const ZEROS: &str = "0000000000000000000000000000000000000000";

/// What the user chose about the ref.
#[derive(Debug, Clone, Default)]
pub(crate) struct Choice {
    /// `--tag`: run as the pipeline of this tag.
    pub(crate) tag: Option<String>,
    /// `--branch`: run as the pipeline of this branch.
    pub(crate) branch: Option<String>,
    /// `--merge-request`: run as the pipeline of a merge request into this branch.
    pub(crate) merge_request: Option<String>,
    /// `--protected`: the ref counts as protected.
    pub(crate) protected: bool,
}

/// What git says; the rest of the pipeline's facts is the session's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommitFacts {
    pub(crate) remote: Option<Remote>,
    pub(crate) directory: String,
    pub(crate) git_ref: GitRef,
    pub(crate) sha: String,
    pub(crate) before_sha: String,
    pub(crate) message: String,
    pub(crate) author: String,
    pub(crate) timestamp: String,
    pub(crate) default_branch: String,
    pub(crate) object_format: String,
    pub(crate) user: User,
    protected: bool,
    /// URL of the remote as git has it.
    pub(crate) remote_url: Option<String>,
    /// Guesses that the user should know of.
    pub(crate) notes: Vec<String>,
}

impl CommitFacts {
    /// Whether the ref counts as protected: only the default branch does, unless the user says more.
    pub(crate) fn protected(&self) -> bool {
        self.protected || matches!(&self.git_ref, GitRef::Branch(name) if *name == self.default_branch)
    }

    /// Path of the ref in a repository.
    pub(crate) fn ref_path(&self) -> String {
        match &self.git_ref {
            GitRef::Tag { name, .. } => format!("refs/tags/{name}"),
            other => format!("refs/heads/{}", other.name()),
        }
    }

    /// What can be said of a folder that is no repository, or has no commit: enough to list jobs.
    pub(crate) fn without_git(folder: &Path, choice: &Choice, uid: u32) -> Self {
        let branch = choice.branch.clone().unwrap_or_else(|| "main".to_owned());
        let git_ref = match &choice.tag {
            Some(name) => GitRef::Tag { name: name.clone(), message: None },
            None => GitRef::Branch(branch.clone()),
        };
        Self {
            remote: None,
            directory: directory(folder),
            git_ref,
            sha: ZEROS.to_owned(),
            before_sha: ZEROS.to_owned(),
            message: String::new(),
            author: String::new(),
            timestamp: String::new(),
            default_branch: branch,
            object_format: "sha1".to_owned(),
            user: User { id: uid.into(), ..User::default() },
            protected: choice.protected,
            remote_url: None,
            notes: Vec::new(),
        }
    }
}

/// Reads the facts of a snapshot. `git` must see the snapshot's commit.
pub(crate) fn gather(
    checkout: &Checkout,
    git: &Git,
    snapshot: &Snapshot,
    choice: &Choice,
    uid: u32,
) -> Result<CommitFacts, String> {
    let mut notes = Vec::new();
    let current = git.maybe(&["symbolic-ref", "--quiet", "--short", "HEAD"]);
    let default_branch = default_branch(git, current.as_deref(), &mut notes);
    let git_ref = git_ref(checkout, git, choice, current, &mut notes);
    let show =
        |format: &str| git.text(&["show", "--no-patch", &format!("--format={format}"), &checkout.head]);
    let git_ref = match &choice.merge_request {
        Some(target) => {
            let title = show("%s").unwrap_or_default();
            GitRef::MergeRequest(merge_request(git, snapshot, git_ref.name(), target, title)?)
        }
        None => git_ref,
    };
    let (remote_url, remote) = remote(git);
    Ok(CommitFacts {
        remote,
        directory: directory(&checkout.root),
        before_sha: match git_ref {
            GitRef::Tag { .. } | GitRef::MergeRequest(_) => zeros(&snapshot.sha),
            GitRef::Branch(_) => before(checkout, git, snapshot),
        },
        git_ref,
        sha: snapshot.sha.clone(),
        message: show("%B").unwrap_or_default(),
        author: show("%an <%ae>").unwrap_or_default(),
        timestamp: show("%cI").unwrap_or_default(),
        default_branch,
        object_format: checkout.object_format.clone(),
        user: user(git, uid),
        protected: choice.protected,
        remote_url,
        notes,
    })
}

/// The remote's URL as it is to be given to git, and what it says about the project.
fn remote(git: &Git) -> (Option<String>, Option<Remote>) {
    let names = git.maybe(&["remote"]).unwrap_or_default();
    let Some(name) = names.lines().find(|name| *name == "origin").or_else(|| names.lines().next()) else {
        return (None, None);
    };
    let written = git.maybe(&["config", "--get", &format!("remote.{name}.url")]);
    let rewritten = git.maybe(&["remote", "get-url", name]);
    // Git rewrites what it is given; an abbreviation must be rewritten before it can be understood.
    match (written.as_deref().and_then(Remote::parse), rewritten) {
        (Some(remote), Some(url)) => {
            let remote_of_url = Remote::parse(&url);
            (written, remote_of_url.or(Some(remote)))
        }
        (_, url) => {
            let remote = url.as_deref().and_then(Remote::parse);
            (url, remote)
        }
    }
}

/// A merge request of what is checked out into `target`.
fn merge_request(
    git: &Git,
    snapshot: &Snapshot,
    source: &str,
    target: &str,
    title: String,
) -> Result<MergeRequest, String> {
    let tip = [format!("refs/remotes/origin/{target}"), format!("refs/heads/{target}")]
        .iter()
        .find_map(|name| git.maybe(&["rev-parse", "--verify", "--quiet", &format!("{name}^{{commit}}")]));
    let target_sha = tip.ok_or_else(|| format!("--merge-request {target}: there is no such branch"))?;
    let base_sha = git.maybe(&["merge-base", &target_sha, &snapshot.sha]).ok_or_else(|| {
        format!("--merge-request {target}: the branch has no history in common with what is checked out")
    })?;
    Ok(MergeRequest {
        source_branch: source.to_owned(),
        target_branch: target.to_owned(),
        source_sha: snapshot.sha.clone(),
        target_sha,
        base_sha,
        title,
    })
}

fn git_ref(
    checkout: &Checkout,
    git: &Git,
    choice: &Choice,
    current: Option<String>,
    notes: &mut Vec<String>,
) -> GitRef {
    if let Some(name) = &choice.tag {
        let target =
            git.maybe(&["rev-parse", "--verify", "--quiet", &format!("refs/tags/{name}^{{commit}}")]);
        if target.as_ref().is_some_and(|target| *target != checkout.head) {
            notes.push(format!(
                "tag {name} exists and points at another commit; the files here are used all the same"
            ));
        }
        return GitRef::Tag { name: name.clone(), message: tag_message(git, name) };
    }
    if let Some(name) = choice.branch.clone().or(current) {
        return GitRef::Branch(name);
    }
    match git.maybe(&["describe", "--tags", "--exact-match", &checkout.head]) {
        Some(name) => GitRef::Tag { message: tag_message(git, &name), name },
        None => {
            let short = checkout.head.get(..8).unwrap_or(&checkout.head).to_owned();
            notes.push(format!("HEAD is detached and no tag names it; the branch is called {short}"));
            GitRef::Branch(short)
        }
    }
}

/// Message of an annotated tag; a plain tag has none.
fn tag_message(git: &Git, name: &str) -> Option<String> {
    let reference = format!("refs/tags/{name}");
    if git.maybe(&["cat-file", "-t", &reference]).as_deref() != Some("tag") {
        return None;
    }
    git.maybe(&["for-each-ref", "--format=%(contents)", &reference])
}

fn default_branch(git: &Git, current: Option<&str>, notes: &mut Vec<String>) -> String {
    let remote = git.maybe(&["symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD"]);
    if let Some(name) = remote.as_deref().and_then(|name| name.strip_prefix("origin/")) {
        return name.to_owned();
    }
    let exists = |name: &str| {
        [format!("refs/heads/{name}"), format!("refs/remotes/origin/{name}")]
            .iter()
            .any(|reference| git.succeeds(&["show-ref", "--verify", "--quiet", reference]))
    };
    let configured = git.maybe(&["config", "init.defaultBranch"]);
    let candidates = configured.iter().map(String::as_str).chain(["main", "master"]);
    let name = candidates.into_iter().find(|name| exists(name)).or(current).unwrap_or("main").to_owned();
    if current != Some(name.as_str()) {
        notes.push(format!(
            "the default branch is taken to be {name}; `git remote set-head origin --auto` asks the server"
        ));
    }
    name
}

/// Old tip of the push: the upstream branch if we are ahead of it, else the commit before.
fn before(checkout: &Checkout, git: &Git, snapshot: &Snapshot) -> String {
    git.maybe(&["rev-parse", "--verify", "--quiet", "@{upstream}^{commit}"])
        .filter(|upstream| *upstream != snapshot.sha)
        .filter(|upstream| git.succeeds(&["merge-base", "--is-ancestor", upstream, &checkout.head]))
        .or_else(|| git.maybe(&["rev-parse", "--verify", "--quiet", &format!("{}^", snapshot.sha)]))
        .unwrap_or_else(|| zeros(&snapshot.sha))
}

fn user(git: &Git, uid: u32) -> User {
    let email = git.maybe(&["config", "user.email"]).unwrap_or_default();
    let login = email.split('@').next().unwrap_or_default().to_owned();
    let name = git.maybe(&["config", "user.name"]).unwrap_or_else(|| login.clone());
    User { id: uid.into(), login, name, email }
}

fn directory(folder: &Path) -> String {
    folder.file_name().map_or_else(|| "project".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// As many zeros as the id has digits.
fn zeros(sha: &str) -> String {
    "0".repeat(sha.len())
}
