//! Facts about the repository, the commit and the user, read from git.

use std::path::Path;

use runner_coordinator::run::{GitRef, MergeRequest, Remote, User};

use super::checkout::{Checkout, Refs};
use super::commit::Commit;
use super::settings::Settings;
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
    checkout.ask_ahead();
    let commit = checkout.commit().map_err(|error| error.to_string())?;
    let settings = checkout.settings().map_err(|error| error.to_string())?;
    let refs = checkout.refs().map_err(|error| error.to_string())?;
    let current = checkout.branch.clone();
    let default_branch = default_branch(settings, refs, current.as_deref(), &mut notes);
    let git_ref = git_ref(checkout, git, choice, current, &mut notes);
    let git_ref = match &choice.merge_request {
        Some(target) => {
            let title = commit.subject.clone();
            GitRef::MergeRequest(merge_request(git, snapshot, git_ref.name(), target, title)?)
        }
        None => git_ref,
    };
    let (remote_url, remote) = remote(git, settings);
    Ok(CommitFacts {
        remote,
        directory: directory(&checkout.root),
        before_sha: match git_ref {
            GitRef::Tag { .. } | GitRef::MergeRequest(_) => zeros(&snapshot.sha),
            GitRef::Branch(_) => before(checkout, git, snapshot, commit, settings),
        },
        git_ref,
        sha: snapshot.sha.clone(),
        message: commit.text(),
        author: commit.author.clone(),
        timestamp: commit.committed_at.clone(),
        default_branch,
        object_format: checkout.object_format.clone(),
        user: user(git, settings, uid),
        protected: choice.protected,
        remote_url,
        notes,
    })
}

/// The remote's URL as it is to be given to git, and what it says about the project.
fn remote(git: &Git, settings: &Settings) -> (Option<String>, Option<Remote>) {
    let names = settings.remotes();
    let Some(name) = names.get("origin").or_else(|| names.first()) else { return (None, None) };
    let url = format!("remote.{name}.url");
    let written = settings.get(&url).map(str::to_owned);
    let rewritten = match settings.rewrites_urls() {
        true => git.maybe(&["remote", "get-url", name]),
        false => settings.values(&url).next().map(str::to_owned),
    };
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

fn default_branch(
    settings: &Settings,
    refs: &Refs,
    current: Option<&str>,
    notes: &mut Vec<String>,
) -> String {
    let remote = refs.symbolic.get("refs/remotes/origin/HEAD");
    if let Some(name) = remote.and_then(|name| name.strip_prefix("refs/remotes/origin/")) {
        return name.to_owned();
    }
    let exists = |name: &str| {
        [format!("refs/heads/{name}"), format!("refs/remotes/origin/{name}")]
            .iter()
            .any(|reference| refs.has(reference))
    };
    let candidates = settings.get("init.defaultbranch").into_iter().chain(["main", "master"]);
    let name = candidates.into_iter().find(|name| exists(name)).or(current).unwrap_or("main").to_owned();
    if current != Some(name.as_str()) {
        notes.push(format!(
            "the default branch is taken to be {name}; `git remote set-head origin --auto` asks the server"
        ));
    }
    name
}

/// Old tip of the push: the upstream branch if we are ahead of it, else the commit before.
fn before(
    checkout: &Checkout,
    git: &Git,
    snapshot: &Snapshot,
    commit: &Commit,
    settings: &Settings,
) -> String {
    let upstream = || git.maybe(&["rev-parse", "--verify", "--quiet", "@{upstream}^{commit}"]);
    let has_upstream = checkout.branch.as_deref().is_some_and(|branch| settings.has_upstream(branch));
    has_upstream
        .then(upstream)
        .flatten()
        .filter(|upstream| *upstream != snapshot.sha)
        .filter(|upstream| git.succeeds(&["merge-base", "--is-ancestor", upstream, &checkout.head]))
        .or_else(|| snapshot.parent(checkout, commit))
        .unwrap_or_else(|| zeros(&snapshot.sha))
}

fn user(git: &Git, settings: &Settings, uid: u32) -> User {
    let email = settings.get("user.email").unwrap_or_default().to_owned();
    let login = match email.split('@').next() {
        Some(login) if !login.is_empty() => login.to_owned(),
        _ => system_login(git),
    };
    let name = settings.get("user.name").map_or_else(|| login.clone(), str::to_owned);
    User { id: uid.into(), login, name, email }
}

/// Name of the system's user, out of the address that git makes up for somebody who has configured none:
/// `Name <user@host> 1700000000 +0000`.
fn system_login(git: &Git) -> String {
    let ident = git.maybe(&["var", "GIT_COMMITTER_IDENT"]).unwrap_or_default();
    let user = ident.rsplit_once('<').and_then(|(_, rest)| rest.split_once('@'));
    user.map_or_else(String::new, |(user, _)| user.to_owned())
}

fn directory(folder: &Path) -> String {
    folder.file_name().map_or_else(|| "project".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// As many zeros as the id has digits.
fn zeros(sha: &str) -> String {
    "0".repeat(sha.len())
}
