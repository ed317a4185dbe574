//! What changed, for `changes` in rules.

use super::checkout::Checkout;
use crate::exec::git::Git;

/// Files that changed since a base, and which base that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Files, or `None` when there is nothing to compare with: then every clause holds.
    pub(crate) files: Option<Vec<String>>,
    /// For the user: a silent guess is worse than none.
    pub(crate) base: String,
}

impl Changes {
    /// No comparison, and why.
    pub(crate) fn nothing(why: &str) -> Self {
        Self { files: None, base: format!("nothing: {why}, so that every `changes` holds") }
    }
}

/// Compares `tip` with the first of: the ref that was asked for, the upstream branch if we are ahead of it, the default
/// branch when on another one, the commit before.
pub(crate) fn compare(
    checkout: &Checkout,
    git: &Git,
    tip: &str,
    since: Option<&str>,
    branch: Option<&str>,
    default_branch: &str,
) -> Result<Changes, String> {
    if let Some(since) = since {
        let base = merge_base(git, since, tip).ok_or_else(|| {
            format!("--changes-since {since} does not name a commit that has history in common with HEAD")
        })?;
        return Ok(changes(git, &base, tip, since));
    }
    let has_upstream =
        |branch: &String| checkout.settings().is_ok_and(|settings| settings.has_upstream(branch));
    let upstream = checkout
        .branch
        .as_ref()
        .filter(|branch| has_upstream(branch))
        .and_then(|_| merge_base(git, "@{upstream}", &checkout.head))
        .filter(|base| base != tip)
        .map(|base| (base, "upstream branch".to_owned()));
    let other_branch = || {
        if branch == Some(default_branch) {
            return None;
        }
        let base = [format!("refs/remotes/origin/{default_branch}"), format!("refs/heads/{default_branch}")]
            .iter()
            .find_map(|name| merge_base(git, name, &checkout.head))?;
        (base != tip).then(|| (base, format!("branch {default_branch}")))
    };
    let before = || {
        let before = match tip == checkout.head {
            true => checkout.commit().ok()?.parents.first()?.clone(),
            // A snapshot of what is not committed.
            false => checkout.head.clone(),
        };
        Some((before, "commit before".to_owned()))
    };
    Ok(match upstream.or_else(other_branch).or_else(before) {
        Some((base, name)) => changes(git, &base, tip, &name),
        None => Changes::nothing("there is no commit before"),
    })
}

/// Files that differ between the merge base of `reference` and `tip`; `None` when `reference` names no commit.
pub(crate) fn since(git: &Git, reference: &str, tip: &str) -> Option<Vec<String>> {
    let base = [reference.to_owned(), format!("refs/remotes/origin/{reference}")]
        .iter()
        .find_map(|name| merge_base(git, name, tip))?;
    changes(git, &base, tip, reference).files
}

fn changes(git: &Git, base: &str, tip: &str, name: &str) -> Changes {
    let short = base.get(..8).unwrap_or(base);
    let listing = git.output(&["diff", "--name-only", "--no-renames", "-z", base, tip], &[]);
    Changes {
        files: listing.ok().map(|listing| {
            listing
                .split(|byte| *byte == 0)
                .filter(|file| !file.is_empty())
                .map(|file| String::from_utf8_lossy(file).into_owned())
                .collect()
        }),
        base: format!("{short} ({name})"),
    }
}

fn merge_base(git: &Git, one: &str, other: &str) -> Option<String> {
    git.maybe(&["merge-base", one, other])
}
