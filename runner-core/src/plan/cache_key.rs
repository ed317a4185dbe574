//! Cache keys, and what becomes of them in paths.

use sha2::{Digest, Sha256};

/// A usable cache key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CacheKey {
    /// As users know it.
    pub(super) human: String,
    /// Part of the archive's path.
    pub(super) path: String,
    /// Part of the path under the other of the two naming schemes, if that one works.
    pub(super) alternate: Option<String>,
    /// What users should know about it.
    pub(super) warning: Option<String>,
}

impl CacheKey {
    /// Takes an expanded key; says why it cannot be used.
    pub(super) fn new(raw: &str, hashed: bool) -> Result<Self, String> {
        if raw.is_empty() {
            return Err("empty cache key".to_owned());
        }
        let clean = sanitize(raw);
        if hashed {
            return Ok(Self { human: raw.to_owned(), path: hash(raw), alternate: clean, warning: None });
        }
        let Some(clean) = clean else { return Err(format!("cache key \"{raw}\" could not be sanitized")) };
        let warning = (clean != raw).then(|| format!("cache key \"{raw}\" sanitized to \"{clean}\""));
        Ok(Self { human: clean.clone(), path: clean, alternate: Some(hash(raw)), warning })
    }
}

/// A key that stays below its folder, or `None` if nothing is left of it.
pub(super) fn sanitize(raw: &str) -> Option<String> {
    let decoded = raw
        .replace("%2f", "/")
        .replace("%2F", "/")
        .replace("%2e", ".")
        .replace("%2E", ".")
        .replace('\\', "/");
    let mut clean = clean_path(&decoded);
    // Blanks at the end may hide dots: what is left without them is read once more.
    while clean.ends_with(char::is_whitespace) {
        clean = clean_path(clean.trim_end());
    }
    (!clean.is_empty()).then_some(clean)
}

/// A path read as absolute, without its first slash: no empty parts, no `.`, no `..`.
pub(super) fn clean_path(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn hash(key: &str) -> String {
    Sha256::digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{CacheKey, sanitize};

    proptest! {
        #[test]
        fn no_key_leaves_its_folder(raw in "[./a%2eEfF\\\\ \t\n]{0,30}") {
            if let Some(key) = sanitize(&raw) {
                prop_assert!(!key.starts_with('/') && !key.ends_with('/'));
                prop_assert!(key.split('/').all(|part| !matches!(part, "" | "." | "..")), "{key}");
                let again = sanitize(&key);
                prop_assert!(key.contains('%') || again.as_deref() == Some(&*key), "{key:?} {again:?}");
            }
        }
    }

    #[test]
    fn sanitizing() {
        for (raw, expected) in [
            ("main-protected", Some("main-protected")),
            ("some%2f../job/some/ref/.", Some("job/some/ref")),
            (r"foo\bar\..", Some("foo")),
            (r"fallback_key/ \", Some("fallback_key")),
            ("foo/ /bar", Some("foo/ /bar")),
            ("../foo/bar", Some("foo/bar")),
            ("%2E%2E%2E", Some("...")),
            ("%5C", Some("%5C")),
            ("\tfoo bar\t\r", Some("\tfoo bar")),
            ("a%2f..%2fb", Some("b")),
            ("a/ / /", Some("a")),
            ("a/b/.. ", Some("a")),
            (".. ", None),
            (". /%2e%2e\t", None),
            ("/", None),
            (" ", None),
            (".", None),
            ("..", None),
            ("foo/bar/../..", None),
            ("\t\n\r", None),
        ] {
            assert_eq!(sanitize(raw).as_deref(), expected, "{raw:?}");
        }
    }

    #[test]
    fn plain_keys() {
        let key = CacheKey::new("a%2f..%2fb", false).unwrap();
        assert_eq!((key.human.as_str(), key.path.as_str()), ("b", "b"));
        assert_eq!(key.warning.as_deref(), Some("cache key \"a%2f..%2fb\" sanitized to \"b\""));
        assert_eq!(key.alternate.unwrap().len(), 64);
        assert_eq!(CacheKey::new("..", false), Err("cache key \"..\" could not be sanitized".to_owned()));
        assert_eq!(CacheKey::new("", false), Err("empty cache key".to_owned()));
        assert_eq!(CacheKey::new("k", false).unwrap().warning, None);
    }

    #[test]
    fn hashed_keys() {
        let key = CacheKey::new("some/user/key", true).unwrap();
        assert_eq!(key.path, "7f6da050858a8c8767cddbfdf331cbe3a0269abba1fc11fd3fa381b8851b7917");
        assert_eq!((key.human.as_str(), key.alternate.as_deref()), ("some/user/key", Some("some/user/key")));
        assert_eq!(CacheKey::new("..", true).unwrap().alternate, None);
    }
}
