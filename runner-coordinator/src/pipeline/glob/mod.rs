//! Matching of paths: `rules:changes` and `rules:exists` on one hand, wildcards of `include:local` on the other.

mod fnmatch;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use regex::Regex;

use fnmatch::Glob;

/// More comparisons than this are not made; the clause then holds.
const MAX_COMPARISONS: usize = 50_000;

/// Compiled globs, each compiled once.
#[derive(Debug, Default)]
pub(crate) struct Globs {
    compiled: HashMap<String, Glob>,
}

impl Globs {
    /// Whether any of the globs matches any of the paths: Ruby's `fnmatch` with pathname, dotmatch and extglob, which
    /// is what GitLab uses. <https://docs.gitlab.com/ci/yaml/#ruleschanges>
    pub(crate) fn any<G: AsRef<str>, P: AsRef<str>>(&mut self, globs: &[G], paths: &[P]) -> bool {
        if globs.len().saturating_mul(paths.len()) > MAX_COMPARISONS {
            return true;
        }
        globs.iter().any(|glob| {
            let glob = glob.as_ref();
            let compiled = self.compiled.entry(glob.to_owned()).or_insert_with(|| Glob::new(glob));
            paths.iter().any(|path| compiled.is_match(path.as_ref()))
        })
    }

    /// Whether `rules:exists` holds. What names one file or all files with one ending is looked up, however many files
    /// there are; globs for the top folder are compared with its files alone.
    /// <https://docs.gitlab.com/ci/yaml/#rulesexists>
    pub(crate) fn exist(&mut self, globs: &[String], paths: &[String]) -> bool {
        let (exact, others): (Vec<&str>, Vec<&str>) =
            globs.iter().map(String::as_str).partition(|glob| is_exact(glob));
        let (endings, patterns): (Vec<&str>, Vec<&str>) =
            others.into_iter().partition(|glob| ending(glob).is_some());
        let endings: Vec<&str> = endings.into_iter().filter_map(ending).collect();
        let is_there = |path: &String| {
            exact.contains(&path.as_str()) || endings.iter().any(|ending| path.ends_with(ending))
        };
        if paths.iter().any(is_there) {
            return true;
        }
        let top = globs.iter().all(|glob| !glob.contains('/') && !glob.contains("**"));
        let considered: Vec<&String> = paths.iter().filter(|path| !top || !path.contains('/')).collect();
        self.any(&patterns, &considered)
    }
}

/// Whether a glob is the name of one file.
fn is_exact(glob: &str) -> bool {
    !glob.contains(['*', '?', '[', '{'])
}

/// `.rs` for `**/*.rs`.
fn ending(glob: &str) -> Option<&str> {
    let ending = glob.strip_prefix("**/*")?;
    (ending.starts_with('.') && !ending.contains(['/', '\\']) && is_exact(ending)).then_some(ending)
}

/// Whether a path in `include:local` is a wildcard.
pub(crate) fn is_wildcard(path: &str) -> bool {
    path.contains('*')
}

/// The paths that a wildcard of `include:local` names, sorted: `*` stays within a folder, `**` does not.
/// <https://docs.gitlab.com/ci/yaml/includes/#use-includelocal-with-wildcard-file-paths>
pub(crate) fn wildcard_matches(wildcard: &str, paths: &[String]) -> Vec<String> {
    let pattern = regex::escape(wildcard).replace(r"\*\*", ".*").replace(r"\*", "[^/]*");
    let Ok(regex) = Regex::new(&format!("^{pattern}$")) else { return Vec::new() };
    let mut found: Vec<String> = paths.iter().filter(|path| regex.is_match(path)).cloned().collect();
    found.sort();
    found
}
