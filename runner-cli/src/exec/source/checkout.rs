//! The user's checkout: where it is, what kind it is, and what git says about it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::commit::Commit;
use super::error::SourceError;
use super::settings::Settings;
use crate::exec::git::{Git, GitError};

/// A folder with a working tree of a git repository that has at least one commit.
///
/// What it knows was asked for once: each question to git is a process.
#[derive(Debug, Clone)]
pub(crate) struct Checkout {
    /// Root of the working tree.
    pub(crate) root: PathBuf,
    /// Git, run in the root.
    pub(crate) git: Git,
    /// Full id of the commit that is checked out.
    pub(crate) head: String,
    /// Full id of its tree.
    pub(crate) tree: String,
    /// Name of the branch that is checked out; `None` for a commit alone.
    pub(crate) branch: Option<String>,
    /// `sha1` or `sha256`.
    pub(crate) object_format: String,
    /// Whether history was cut off when it was cloned.
    pub(crate) is_shallow: bool,
    paths: Paths,
    answers: Answers,
}

/// Files and folders of the repository itself, absolute. Right for linked worktrees too.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    /// The index; it need not be there.
    pub(crate) index: PathBuf,
    /// The objects.
    pub(crate) objects: PathBuf,
    /// Where history was cut off; only there in a shallow clone.
    pub(crate) shallow: PathBuf,
}

/// What was asked for already.
#[derive(Debug, Clone, Default)]
struct Answers {
    commit: OnceLock<Commit>,
    settings: OnceLock<Settings>,
    refs: OnceLock<Refs>,
}

/// Branches, those of the remote `origin`, and tags.
#[derive(Debug, Clone, Default)]
pub(crate) struct Refs {
    /// What each full name points to, those apart that point to another name.
    pub(crate) objects: BTreeMap<String, String>,
    /// Names that point to other names, and to which.
    pub(crate) symbolic: BTreeMap<String, String>,
}

/// What the first question asks for, one line of the answer each.
const QUESTIONS: [&str; 14] = [
    "rev-parse",
    "--is-bare-repository",
    "--is-inside-git-dir",
    "--show-cdup",
    "--show-object-format",
    "--is-shallow-repository",
    "--git-path",
    "index",
    "--git-path",
    "objects",
    "--git-path",
    "shallow",
    "HEAD^{commit}",
    "HEAD^{tree}",
];

impl Checkout {
    /// Opens the checkout around `folder`.
    ///
    /// # Errors
    /// When there is no repository, or it is bare, or has no commit.
    pub(crate) fn open(folder: &Path) -> Result<Self, SourceError> {
        // Paths in the answer are relative, and must not lead through links.
        let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let git = Git::new(&real);
        // Behind this option `HEAD` is a name; in front of it, a commit.
        let questions = QUESTIONS.iter().chain(&["--symbolic-full-name", "HEAD"]).collect::<Vec<_>>();
        let answer = match git.text(&questions) {
            Ok(answer) => answer,
            Err(error) => return Err(why_not(folder, error)),
        };
        let lines: Vec<&str> = answer.lines().collect();
        // Without a working tree there is no answer to where its root is.
        if lines.iter().take(2).any(|answer| *answer == "true") {
            return Err(SourceError::Bare(folder.to_owned()));
        }
        let [_bare, _inside, up, object_format, shallow, index, objects, cut, head, tree, name] = lines[..]
        else {
            let said = format!("its answer is not understood: {answer:?}");
            return Err(SourceError::Refused { folder: folder.to_owned(), said });
        };
        let up = real.join(up);
        let root = up.canonicalize().unwrap_or(up);
        Ok(Self {
            git: Git::new(&root),
            root,
            head: head.to_owned(),
            tree: tree.to_owned(),
            branch: name.strip_prefix("refs/").map(|name| name.strip_prefix("heads/").unwrap_or(name).into()),
            object_format: object_format.to_owned(),
            is_shallow: shallow == "true",
            paths: Paths { index: real.join(index), objects: real.join(objects), shallow: real.join(cut) },
            answers: Answers::default(),
        })
    }

    /// Root of the working tree around `folder`; `None` when there is no repository.
    ///
    /// # Errors
    /// When git refuses the repository, or it is bare.
    pub(crate) fn root(folder: &Path) -> Result<Option<PathBuf>, SourceError> {
        match Self::open(folder) {
            Ok(Self { root, .. }) | Err(SourceError::NoCommit(root)) => Ok(Some(root)),
            Err(SourceError::NoRepository(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Where the repository's own files are.
    pub(crate) fn paths(&self) -> &Paths {
        &self.paths
    }

    /// The commit that is checked out.
    pub(crate) fn commit(&self) -> Result<&Commit, GitError> {
        once(&self.answers.commit, || Commit::read(&self.git, &self.head))
    }

    /// Git's configuration, as it holds for the checkout.
    pub(crate) fn settings(&self) -> Result<&Settings, GitError> {
        once(&self.answers.settings, || Settings::read(&self.git))
    }

    /// Branches, remote branches and tags.
    pub(crate) fn refs(&self) -> Result<&Refs, GitError> {
        once(&self.answers.refs, || Refs::read(&self.git))
    }

    /// Asks for everything at once that is going to be wanted: git's processes wait for each other less than for themselves.
    pub(crate) fn ask_ahead(&self) {
        std::thread::scope(|scope| {
            scope.spawn(|| self.commit().map(drop));
            scope.spawn(|| self.refs().map(drop));
            // Who needs an answer that did not come asks again, and hears why.
            let _ = self.settings();
        });
    }

    /// Whether objects are missing that would be fetched when they are needed.
    pub(crate) fn is_partial(&self) -> bool {
        self.settings().is_ok_and(Settings::has_promisor)
    }
}

/// The answer, asked for if nobody has done that yet.
fn once<T>(answer: &OnceLock<T>, ask: impl FnOnce() -> Result<T, GitError>) -> Result<&T, GitError> {
    match answer.get() {
        Some(known) => Ok(known),
        None => {
            let fresh = ask()?;
            Ok(answer.get_or_init(|| fresh))
        }
    }
}

/// Why the questions about a checkout have no answer.
fn why_not(folder: &Path, error: GitError) -> SourceError {
    let said = match error {
        GitError::Failed { output, .. } if output.contains("not a git repository") => {
            return SourceError::NoRepository(folder.to_owned());
        }
        GitError::Failed { output, .. } => output,
        error @ GitError::Start(_) => return error.into(),
    };
    // A repository without a commit has no answer to the last of them.
    let git = Git::new(folder);
    match git.text(&["rev-parse", "--is-bare-repository", "--is-inside-git-dir", "--show-cdup"]) {
        Ok(answer) => {
            let mut lines = answer.lines();
            if lines.next() == Some("true") || lines.next() == Some("true") {
                return SourceError::Bare(folder.to_owned());
            }
            if git.succeeds(&["rev-parse", "--quiet", "--verify", "HEAD^{commit}"]) {
                return SourceError::Refused { folder: folder.to_owned(), said };
            }
            let up = folder.join(lines.next().unwrap_or_default());
            SourceError::NoCommit(up.canonicalize().unwrap_or(up))
        }
        Err(_) => SourceError::Refused { folder: folder.to_owned(), said },
    }
}

impl Refs {
    fn read(git: &Git) -> Result<Self, GitError> {
        let listing = git.text(&[
            "for-each-ref",
            "--format=%(objectname) %(refname) %(symref)",
            "refs/heads/",
            "refs/tags/",
            "refs/remotes/origin/",
        ])?;
        let mut refs = Self::default();
        for line in listing.lines() {
            let mut parts = line.split(' ');
            let (Some(object), Some(name), symref) = (parts.next(), parts.next(), parts.next()) else {
                continue;
            };
            match symref.filter(|target| !target.is_empty()) {
                Some(target) => drop(refs.symbolic.insert(name.to_owned(), target.to_owned())),
                None => drop(refs.objects.insert(name.to_owned(), object.to_owned())),
            }
        }
        Ok(refs)
    }

    /// Whether there is a ref of this full name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.objects.contains_key(name) || self.symbolic.contains_key(name)
    }
}
