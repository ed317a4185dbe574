//! `/regex/flags`. GitLab uses RE2; the `regex` crate has the same syntax apart from character classes.

use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};

/// At least two characters between the slashes; a slash inside is written `\/`.
#[expect(clippy::expect_used, reason = "the pattern is a constant")]
static LITERAL: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^/([^/]|\\/)+[^\\]/[ismU]*").expect("constant pattern"));

/// Limit for the compiled form of one pattern, in bytes.
const MAX_COMPILED: usize = 1024 * 1024;

/// A regular expression as written in a configuration.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    regex: Regex,
    /// As written.
    text: Box<str>,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Pattern {
    /// Length in bytes of the pattern with which `text` starts.
    pub(super) fn prefix(text: &str) -> Option<usize> {
        LITERAL.find(text).map(|found| found.end())
    }

    /// Reads `/regex/flags`; says what is wrong otherwise.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let not_a_pattern = || format!("`{text}` is not a pattern of the form /…/");
        let (source, flags) =
            text.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')).ok_or_else(not_a_pattern)?;
        if source.is_empty() || !flags.chars().all(|flag| "ismU".contains(flag)) {
            return Err(not_a_pattern());
        }
        RegexBuilder::new(&re2(source))
            .case_insensitive(flags.contains('i'))
            .dot_matches_new_line(flags.contains('s'))
            .multi_line(flags.contains('m'))
            .swap_greed(flags.contains('U'))
            .size_limit(MAX_COMPILED)
            .build()
            .map(|regex| Self { regex, text: text.into() })
            .map_err(|error| {
                let text = error.to_string();
                let last = text.lines().last().unwrap_or("not valid");
                format!("the pattern is not RE2: {}", last.strip_prefix("error: ").unwrap_or(last))
            })
    }

    /// What the last group of the last match holds: the last one that took part in a match, or the whole match if the
    /// pattern has no groups.
    pub(crate) fn last_group<'t>(&self, text: &'t str) -> Option<&'t str> {
        let first = usize::from(self.regex.captures_len() > 1);
        let groups = self.regex.captures_iter(text).flat_map(|captures| {
            let groups: Vec<_> = (first..captures.len()).filter_map(|group| captures.get(group)).collect();
            groups
        });
        groups.last().map(|found| found.as_str())
    }

    /// Whether the pattern is found anywhere in `text`.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

/// Rewrites what means something else in RE2: inside of a class `[`, `&&`, `--` and `~~` are plain characters there, and
/// outside of one a `{` that counts nothing is.
fn re2(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut chars = source.char_indices().peekable();
    let mut class: Option<usize> = None;
    while let Some((at, c)) = chars.next() {
        let rest = source.get(at..).unwrap_or_default();
        match (c, class) {
            ('\\', _) => {
                out.push(c);
                if let Some((_, escaped)) = chars.next() {
                    out.push(escaped);
                }
            }
            ('[', None) => {
                class = Some(at + 1 + usize::from(rest.starts_with("[^")));
                out.push(c);
            }
            ('[', Some(_)) if rest.starts_with("[:") => {
                let length = rest.find(":]").map_or(1, |end| end + 2);
                out.push_str(rest.get(..length).unwrap_or("["));
                while chars.peek().is_some_and(|(next, _)| *next < at + length) {
                    chars.next();
                }
            }
            // A `]` that comes first is a member of the class.
            (']', Some(first)) if at > first => {
                class = None;
                out.push(c);
            }
            ('[' | '&' | '~' | ']', Some(_)) => {
                out.push('\\');
                out.push(c);
            }
            ('{', None) if !is_repetition(rest) => out.push_str("\\{"),
            _ => out.push(c),
        }
    }
    out
}

/// Whether a text starts with `{3}`, `{3,}` or `{3,5}`.
fn is_repetition(rest: &str) -> bool {
    let Some(end) = rest.find('}') else { return false };
    let inner = rest.get(1..end).unwrap_or_default();
    let (low, high) = inner.split_once(',').unwrap_or((inner, ""));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    !low.is_empty() && digits(low) && digits(high)
}

#[cfg(test)]
mod tests {
    use super::{Pattern, re2};

    #[test]
    fn slashes_and_flags() {
        assert_eq!(Pattern::prefix(r"/a\/b/i && x"), Some(7));
        assert_eq!(Pattern::prefix("/a/"), None);
        assert!(Pattern::parse(r"/^rel\/x$/i").unwrap().is_match("REL/X"));
        assert!(Pattern::parse("/a.b/s").unwrap().is_match("a\nb"));
        assert!(!Pattern::parse("/^b/").unwrap().is_match("a\nb"));
        assert!(Pattern::parse("/^b/m").unwrap().is_match("a\nb"));
        assert!(Pattern::parse("/(?=x)y/").is_err());
        assert!(Pattern::parse("/(a/").is_err());
    }

    #[test]
    fn classes_as_in_re2() {
        assert_eq!(re2(r"[[:alpha:]&&-]"), r"[[:alpha:]\&\&-]");
        assert_eq!(re2(r"[[]x]"), r"[\[]x]");
        assert_eq!(re2(r"[]a]{2}"), r"[\]a]{2}");
        assert_eq!(re2(r"a{x}"), r"a\{x}");
        assert!(Pattern::parse("/a{x}b/").unwrap().is_match("a{x}b"));
        assert!(Pattern::parse("/^[^]]$/").unwrap().is_match("x"));
    }
}
