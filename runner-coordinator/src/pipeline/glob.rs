//! Matching of paths: `rules:changes` and `rules:exists` on one hand, wildcards of `include:local` on the other.

use std::collections::HashMap;

use globset::{GlobBuilder, GlobMatcher};
use regex::Regex;

/// More comparisons than this are not made; the clause then holds.
const MAX_COMPARISONS: usize = 50_000;

/// Compiled globs, each compiled once.
#[derive(Debug, Default)]
pub(crate) struct Globs {
    compiled: HashMap<String, Option<GlobMatcher>>,
}

impl Globs {
    /// Whether any of the globs matches any of the paths: Ruby's `fnmatch` with pathname, dotmatch and extglob, which
    /// is what GitLab uses. <https://docs.gitlab.com/ci/yaml/#ruleschanges>
    pub(crate) fn any(&mut self, globs: &[String], paths: &[String]) -> bool {
        if globs.len().saturating_mul(paths.len()) > MAX_COMPARISONS {
            return true;
        }
        globs.iter().any(|glob| {
            let matcher = self.compiled.entry(glob.clone()).or_insert_with(|| compile(glob));
            match matcher {
                Some(matcher) => paths.iter().any(|path| matcher.is_match(path)),
                // What is no valid glob can only name a file literally.
                None => paths.contains(glob),
            }
        })
    }
}

fn compile(glob: &str) -> Option<GlobMatcher> {
    // `**` crosses folders only in front of a slash; at the end it is a plain `*`.
    let mut text = glob.to_owned();
    while text.ends_with("**") {
        text.pop();
    }
    let glob = GlobBuilder::new(&text).literal_separator(true).backslash_escape(true).build().ok()?;
    Some(glob.compile_matcher())
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

#[cfg(test)]
mod tests {
    use super::{Globs, wildcard_matches};

    fn matches(glob: &str, path: &str) -> bool {
        Globs::default().any(&[glob.to_owned()], &[path.to_owned()])
    }

    #[test]
    fn globs_as_in_fnmatch() {
        for (glob, path, expected) in [
            ("docs/*", "docs/a.md", true),
            ("docs/*", "docs/x/a.md", false),
            ("*.md", "docs/a.md", false),
            ("**/*.md", "docs/a.md", true),
            ("**/*.md", "a.md", true),
            ("docs/**/*", "docs/x/y/a.md", true),
            ("docs/**/*", "docs/a.md", true),
            ("docs/**", "docs/a.md", true),
            ("docs/**", "docs/x/a.md", false),
            ("docs/", "docs/a.md", false),
            ("*", ".hidden", true),
            ("a.{rb,py}", "a.py", true),
            ("[ab].txt", "b.txt", true),
            ("?.txt", "b.txt", true),
            ("./a", "a", false),
            ("a[", "a[", true),
            ("a[", "ab", false),
        ] {
            assert_eq!(matches(glob, path), expected, "{glob} {path}");
        }
    }

    #[test]
    fn too_many_comparisons_count_as_a_match() {
        let paths: Vec<String> = (0..50_001).map(|number| format!("f{number}")).collect();
        assert!(Globs::default().any(&["nothing".to_owned()], &paths));
        assert!(!Globs::default().any(&["nothing".to_owned()], &paths[..50_000]));
    }

    #[test]
    fn wildcards_of_includes() {
        let paths: Vec<String> =
            ["ci/b.yml", "ci/a.yml", "ci/x/c.yml", "ci/x/y/d.yml", "other.yml"].map(str::to_owned).into();
        assert_eq!(wildcard_matches("ci/*.yml", &paths), ["ci/a.yml", "ci/b.yml"]);
        assert_eq!(
            wildcard_matches("ci/**.yml", &paths),
            ["ci/a.yml", "ci/b.yml", "ci/x/c.yml", "ci/x/y/d.yml"]
        );
        assert_eq!(wildcard_matches("ci/**/*.yml", &paths), ["ci/x/c.yml", "ci/x/y/d.yml"]);
        assert!(wildcard_matches("none/*.yml", &paths).is_empty());
    }
}
