//! Patterns for paths: `*`, `?`, `[…]`, `{a,b}` within one name, and `**` for any number of folders, also none.
//!
//! Dot files match like all others. A pattern is looked up name by name, so that only folders that can match are read.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

/// A pattern relative to a folder.
#[derive(Debug, Clone)]
pub(crate) struct Glob {
    /// One list of segments for each way to choose within braces.
    alternatives: Vec<Vec<Segment>>,
}

#[derive(Debug, Clone)]
enum Segment {
    /// `**`
    AnyDepth,
    /// A name without special characters.
    Name(String),
    Pattern(GlobMatcher),
}

impl Glob {
    /// Reads a pattern with `/` between names.
    pub(crate) fn parse(pattern: &str) -> Result<Self, globset::Error> {
        let alternatives =
            braces(pattern).iter().map(|pattern| segments(pattern)).collect::<Result<_, _>>()?;
        Ok(Self { alternatives })
    }

    /// Whether a text has anything special in it.
    pub(crate) fn is_pattern(text: &str) -> bool {
        text.contains(['*', '?', '[', '{'])
    }

    /// Whether a relative path matches.
    pub(crate) fn matches(&self, path: &Path) -> bool {
        let names: Vec<_> = path.components().filter_map(name).collect();
        self.alternatives.iter().any(|segments| fits(segments, &names))
    }

    /// The paths below `folder` that match, relative to it. `enter` decides whether a symlink to a folder may be
    /// followed for a name of the pattern; `**` never follows any.
    pub(crate) fn find(&self, folder: &Path, enter: &dyn Fn(&Path) -> bool) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        for segments in &self.alternatives {
            descend(folder, Path::new(""), segments, enter, &mut found);
        }
        found
    }
}

fn name(component: Component<'_>) -> Option<&OsStr> {
    match component {
        Component::Normal(name) => Some(name),
        _ => None,
    }
}

fn fits(segments: &[Segment], names: &[&OsStr]) -> bool {
    match (segments.split_first(), names.split_first()) {
        (None, None) => true,
        (Some((Segment::AnyDepth, rest)), _) => {
            fits(rest, names) || names.split_first().is_some_and(|(_, below)| fits(segments, below))
        }
        (Some((segment, rest)), Some((name, below))) => segment.matches(name) && fits(rest, below),
        _ => false,
    }
}

fn descend(
    folder: &Path,
    here: &Path,
    segments: &[Segment],
    enter: &dyn Fn(&Path) -> bool,
    found: &mut BTreeSet<PathBuf>,
) {
    let Some((segment, rest)) = segments.split_first() else {
        if !here.as_os_str().is_empty() {
            found.insert(here.to_owned());
        }
        return;
    };
    let children = |matches: &dyn Fn(&OsStr) -> bool| {
        // A folder that vanishes or cannot be read has no matches.
        let entries = fs::read_dir(folder.join(here)).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name()).filter(|name| matches(name)).collect::<Vec<_>>()
    };
    let exists = |path: &Path| fs::symlink_metadata(folder.join(path)).is_ok();
    let real_folder = |path: &Path| fs::symlink_metadata(folder.join(path)).is_ok_and(|found| found.is_dir());

    let names = match segment {
        Segment::AnyDepth => {
            descend(folder, here, rest, enter, found);
            for name in children(&|_| true) {
                let child = here.join(name);
                if real_folder(&child) {
                    descend(folder, &child, segments, enter, found);
                } else if rest.is_empty() {
                    found.insert(child);
                }
            }
            return;
        }
        Segment::Name(name) => vec![name.into()],
        Segment::Pattern(_) => children(&|name| segment.matches(name)),
    };
    for name in names {
        let child = here.join(name);
        let passable = if rest.is_empty() { exists(&child) } else { real_folder(&child) || enter(&child) };
        if passable {
            descend(folder, &child, rest, enter, found);
        }
    }
}

impl Segment {
    fn matches(&self, name: &OsStr) -> bool {
        match self {
            Self::AnyDepth => true,
            Self::Name(expected) => name == expected.as_str(),
            Self::Pattern(matcher) => matcher.is_match(name),
        }
    }
}

fn segments(pattern: &str) -> Result<Vec<Segment>, globset::Error> {
    pattern
        .split('/')
        .filter(|segment| !segment.is_empty() && *segment != ".")
        .map(|segment| match segment {
            "**" => Ok(Segment::AnyDepth),
            _ if segment.contains(['*', '?', '[', '\\']) => {
                let matcher = GlobBuilder::new(segment).literal_separator(true).build()?.compile_matcher();
                Ok(Segment::Pattern(matcher))
            }
            _ => Ok(Segment::Name(segment.to_owned())),
        })
        .collect()
}

/// All ways to choose within the braces of a pattern; they may span several names and be nested. Braces that do not
/// close are ordinary.
fn braces(pattern: &str) -> Vec<String> {
    let Some((before, choices, after)) = first_group(pattern) else { return vec![pattern.to_owned()] };
    let mut all = Vec::new();
    for choice in choices {
        for rest in braces(&format!("{choice}{after}")) {
            all.push(format!("{before}{rest}"));
        }
    }
    all
}

/// Text, choices and rest around the first outermost pair of braces.
fn first_group(pattern: &str) -> Option<(&str, Vec<&str>, &str)> {
    let mut depth = 0_usize;
    let mut in_class = false;
    let mut open = 0;
    let mut begin = 0;
    let mut choices = Vec::new();
    let mut characters = pattern.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '\\' => {
                characters.next();
            }
            '[' => in_class = true,
            ']' => in_class = false,
            _ if in_class => {}
            '{' => {
                depth += 1;
                if depth == 1 {
                    open = index;
                    begin = index + 1;
                }
            }
            ',' if depth == 1 => {
                choices.push(pattern.get(begin..index)?);
                begin = index + 1;
            }
            '}' if depth == 1 => {
                choices.push(pattern.get(begin..index)?);
                return Some((pattern.get(..open)?, choices, pattern.get(index + 1..)?));
            }
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn matching() {
        for (pattern, path, expected) in [
            ("a", "a", true),
            ("a", "a/b", false),
            ("*", "a", true),
            ("*", ".hidden", true),
            ("*", "a/b", false),
            ("*/b", "a/b", true),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("[ab].txt", "b.txt", true),
            ("[!ab].txt", "b.txt", false),
            ("[^ab].txt", "c.txt", true),
            ("[a-c]", "b", true),
            ("**", "a", true),
            ("**", "a/b/c", true),
            ("**/c", "c", true),
            ("**/c", "a/b/c", true),
            ("**/*.log", "a/.b/x.log", true),
            ("a/**", "a", true),
            ("a/**", "a/b/c", true),
            ("a/**", "ab", false),
            ("a/**/d", "a/d", true),
            ("a/**/d", "a/b/c/d", true),
            ("a/**/d", "a/b/c", false),
            ("a**", "abc", true),
            ("a**", "a/b", false),
            ("{a,b}.txt", "b.txt", true),
            ("{a,b}.txt", "c.txt", false),
            ("x/{a/b,c}/d", "x/a/b/d", true),
            ("{a,{b,c}}d", "cd", true),
            ("{,a}b", "b", true),
            ("{a", "{a", true),
            ("[{]", "{", true),
            (r"\*", "*", true),
            (r"\*", "a", false),
            ("./a//b/", "a/b", true),
        ] {
            let glob = Glob::parse(pattern).unwrap();
            assert_eq!(glob.matches(Path::new(path)), expected, "{pattern} on {path}");
        }
        assert!(Glob::parse("[a").is_err());
    }

    #[test]
    fn finding_agrees_with_matching_and_does_not_follow_links_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["a/b/c.txt", "a/.d/e.txt", "f.txt", "g/h"] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        symlink("a", folder.path().join("link")).unwrap();
        let all = |pattern: &str, enter: bool| {
            let found = Glob::parse(pattern).unwrap().find(folder.path(), &|_| enter);
            found.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(all("**/*.txt", true), "a/.d/e.txt a/b/c.txt f.txt");
        assert_eq!(all("**", true), "a a/.d a/.d/e.txt a/b a/b/c.txt f.txt g g/h link");
        assert_eq!(all("a/**", true), "a a/.d a/.d/e.txt a/b a/b/c.txt");
        assert_eq!(all("*", true), "a f.txt g link");
        assert_eq!(all("{f.txt,g/*,nothing}", true), "f.txt g/h");
        assert_eq!(all("*/b", false), "a/b");
        assert_eq!(all("*/b", true), "a/b link/b");
        assert_eq!(all("link/b/*", true), "link/b/c.txt");
    }
}
