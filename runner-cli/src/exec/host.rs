//! What a running pipeline asks of this machine: job tickets, git object ids.

use runner_coordinator::core::JobTicket;
use runner_coordinator::http::Handle;
use runner_coordinator::run::Host;

use super::git::Git;

/// The pipeline's host.
#[derive(Debug)]
pub(super) struct LocalHost {
    /// The coordinator, which makes tickets.
    pub(super) coordinator: Handle,
    /// Git that sees the commit.
    pub(super) git: Git,
    /// The commit.
    pub(super) sha: String,
}

impl Host for LocalHost {
    fn ticket(&mut self) -> JobTicket {
        self.coordinator.reserve_job()
    }

    fn object_ids(&self, globs: &[String], last_commits: bool) -> Vec<String> {
        let patterns: Vec<String> = globs.iter().map(|glob| format!(":(top,glob){glob}")).collect();
        if last_commits {
            let last =
                |pattern: &String| self.git.maybe(&["log", "-1", "--format=%H", &self.sha, "--", pattern]);
            return patterns.iter().filter_map(last).collect();
        }
        // A listing of a tree does not know globs; a comparison with nothing does.
        let Ok(nothing) = self.git.text(&["hash-object", "-t", "tree", "/dev/null"]) else {
            return Vec::new();
        };
        let mut arguments = vec!["diff-tree", "-r", "--no-abbrev", &nothing, &self.sha, "--"];
        arguments.extend(patterns.iter().map(String::as_str));
        let listing = self.git.text(&arguments).unwrap_or_default();
        // `:000000 100644 OLD NEW A<tab>PATH`
        listing.lines().filter_map(|line| line.split(' ').nth(3).map(str::to_owned)).collect()
    }
}
