use proptest::prelude::*;

use super::{Globs, wildcard_matches};

fn matches(glob: &str, path: &str) -> bool {
    Globs::default().any(&[glob], &[path])
}

#[test]
fn globs_as_in_fnmatch() {
    for (glob, path, expected) in [
        ("docs/*", "docs/a.md", true),
        ("docs/*", "docs/x/a.md", false),
        ("docs", "docs/a.md", false),
        ("*.md", "docs/a.md", false),
        ("**/*.md", "docs/a.md", true),
        ("**/*.md", "a.md", true),
        ("docs/**/*", "docs/x/y/a.md", true),
        ("docs/**/*", "docs/a.md", true),
        ("docs/**", "docs/a.md", true),
        ("docs/**", "docs/x/a.md", false),
        ("docs/**.md", "docs/x/a.md", false),
        ("do**/a.md", "docs/a.md", true),
        ("do**/a.md", "docs/x/a.md", false),
        ("**/**/a", "a", true),
        ("**/x/**/a", "p/x/q/r/a", true),
        ("a/**/b", "a/b", true),
        ("docs/", "docs/a.md", false),
        ("*", ".hidden", true),
        ("**/a", ".hidden/a", true),
        ("a.{rb,py}", "a.py", true),
        ("a{,.txt}", "a", true),
        ("a{,.txt}", "a.txt", true),
        ("{a,b/{c,d}}/*.rs", "b/d/x.rs", true),
        ("{a,b/{c,d}}/*.rs", "b/x.rs", false),
        ("{**/,}*.rs", "x/y.rs", true),
        ("{**,x}/*.rs", "p/q/y.rs", true),
        ("a\\{b,c}", "a{b,c}", true),
        ("a}", "a}", true),
        ("a{b", "a{b", false),
        ("[ab].txt", "b.txt", true),
        ("[^ab].txt", "b.txt", false),
        ("[!ab].txt", "c.txt", true),
        ("[a-c]x", "bx", true),
        ("[c-a]x", "bx", false),
        ("[c-a]x", "ax", true),
        ("[a-]", "-", true),
        ("[\\]]", "]", true),
        ("[&&~~[]", "~", true),
        ("x[^a]y", "x/y", false),
        ("x[.-0]y", "x/y", false),
        ("[]", "]", false),
        ("?.txt", "b.txt", true),
        ("?.txt", "ü.txt", true),
        ("[ü]", "ü", true),
        ("a?b", "a/b", false),
        ("\\*", "*", true),
        ("\\*", "a", false),
        ("./a", "a", false),
        ("a[", "a[", false),
        ("a.b", "axb", false),
        ("A", "a", false),
        ("*\n", "a\n", true),
    ] {
        assert_eq!(matches(glob, path), expected, "{glob} {path}");
    }
}

#[test]
fn too_many_comparisons_count_as_a_match() {
    let paths: Vec<String> = (0..50_001).map(|number| format!("f{number}")).collect();
    assert!(Globs::default().any(&["nothing"], &paths));
    assert!(!Globs::default().any(&["nothing"], &paths[..50_000]));
    assert!(Globs::default().any(&["no", "nothing"], &paths[..25_001]));
    assert!(!Globs::default().any(&["no", "nothing"], &paths[..25_000]));
}

#[test]
fn braces_that_multiply_count_as_a_match() {
    assert!(!matches(&"{a,b}".repeat(9), "x"));
    assert!(matches(&"{a,b}".repeat(60), "x"));
    assert!(!matches(&format!("{}{}", "{".repeat(60), "}".repeat(60)), "x"));
}

#[test]
fn existence_is_looked_up_where_it_can_be() {
    let mut paths: Vec<String> = (0..60_000).map(|number| format!("d/f{number}.rs")).collect();
    paths.extend(["Dockerfile".to_owned(), "a.toml".to_owned()]);
    for (globs, expected) in [
        (&["Dockerfile"][..], true),
        (&["none", "d/f7.rs"], true),
        (&["d", "d/", "f7.rs"], false),
        (&["**/*.rs"], true),
        (&["**/*.py"], false),
        (&["*.toml"], true),
        (&["*.yml", "D*r"], false),
        // Too many for a look at each.
        (&["d/x*"], true),
        (&["*.yml", "d/x"], true),
    ] {
        let globs: Vec<String> = globs.iter().map(|glob| (*glob).to_owned()).collect();
        assert_eq!(Globs::default().exist(&globs, &paths), expected, "{globs:?}");
    }
    assert!(!Globs::default().exist(&["d/x*".to_owned()], &paths[..1000]));
}

#[test]
fn wildcards_of_includes() {
    let paths: Vec<String> =
        ["ci/b.yml", "ci/a.yml", "ci/x/c.yml", "ci/x/y/d.yml", "other.yml"].map(str::to_owned).into();
    assert_eq!(wildcard_matches("ci/*.yml", &paths), ["ci/a.yml", "ci/b.yml"]);
    assert_eq!(wildcard_matches("ci/**.yml", &paths), ["ci/a.yml", "ci/b.yml", "ci/x/c.yml", "ci/x/y/d.yml"]);
    assert_eq!(wildcard_matches("ci/**/*.yml", &paths), ["ci/x/c.yml", "ci/x/y/d.yml"]);
    assert!(wildcard_matches("none/*.yml", &paths).is_empty());
}

/// The same by trying everything, for globs of `a b / * ? { , }`.
fn by_trying(glob: &str, path: &str) -> bool {
    fn braces(glob: &str) -> Vec<String> {
        let Some(start) = glob.find('{') else { return vec![glob.to_owned()] };
        let mut depth = 0;
        let mut cuts = vec![start];
        for (at, c) in glob.char_indices().skip(start) {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 || (depth == 1 && c == ',') {
                cuts.push(at);
            }
            if depth == 0 {
                let parts = cuts.windows(2).map(|cut| &glob[cut[0] + 1..cut[1]]);
                return parts
                    .flat_map(|part| braces(&format!("{}{part}{}", &glob[..start], &glob[at + 1..])))
                    .collect();
            }
        }
        Vec::new()
    }
    fn segment(glob: &[u8], name: &[u8]) -> bool {
        match (glob, name) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => (0..=name.len()).any(|from| segment(rest, &name[from..])),
            ([b'?', rest @ ..], [_, name @ ..]) => segment(rest, name),
            ([one, rest @ ..], [other, name @ ..]) => one == other && segment(rest, name),
            _ => false,
        }
    }
    fn parts(glob: &[&str], path: &[&str]) -> bool {
        match (glob, path) {
            ([], []) => true,
            (["**", rest @ ..], _) if !rest.is_empty() => {
                (0..path.len()).any(|from| parts(rest, &path[from..]))
            }
            ([one, rest @ ..], [other, path @ ..]) => {
                segment(one.as_bytes(), other.as_bytes()) && parts(rest, path)
            }
            _ => false,
        }
    }
    let path: Vec<&str> = path.split('/').collect();
    braces(glob).iter().any(|glob| parts(&glob.split('/').collect::<Vec<_>>(), &path))
}

proptest! {
    #[test]
    fn a_glob_matches_what_trying_finds(glob in "[ab/*?{,}]{0,9}", path in "[ab]{1,2}(/[ab]{1,2}){0,3}") {
        prop_assert_eq!(matches(&glob, &path), by_trying(&glob, &path), "{} {}", glob, path);
    }

    #[test]
    fn stars_and_folders(glob in "((a|b|\\*|\\?|\\*\\*|\\{a,\\*\\*\\})/?){1,5}", path in "[ab]{1,2}(/[ab]{1,2}){0,3}") {
        prop_assert_eq!(matches(&glob, &path), by_trying(&glob, &path), "{} {}", glob, path);
    }

    #[test]
    fn any_glob_is_harmless(glob in any::<String>(), path in any::<String>()) {
        matches(&glob, &path);
    }
}
