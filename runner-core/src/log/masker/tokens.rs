//! Masks what follows the prefix of a well-known kind of token.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::MASK;
use super::finder::Finder;
use super::trie::{Node, ROOT, Trie};

/// The prefixes of a job.
#[derive(Debug)]
pub(super) struct Prefixes {
    list: Vec<Vec<u8>>,
    /// `None`: there are no prefixes.
    finder: Option<Finder>,
    trie: Trie,
}

impl Prefixes {
    /// Takes any number of prefixes; surrounding whitespace is trimmed and empty ones are dropped.
    pub(super) fn new<'a>(prefixes: impl IntoIterator<Item = &'a str>) -> Self {
        let mut prefixes: Vec<&[u8]> =
            prefixes.into_iter().map(|p| p.trim().as_bytes()).filter(|p| !p.is_empty()).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        Self {
            list: prefixes.iter().map(|prefix| prefix.to_vec()).collect(),
            finder: Finder::new(&prefixes),
            trie: Trie::new(prefixes.into_iter()),
        }
    }

    /// All of them, each once.
    pub(super) fn list(&self) -> impl Iterator<Item = &[u8]> {
        self.list.iter().map(Vec::as_slice)
    }
}

/// Masks tokens in one stream of text. Holds nothing back: the prefix is let out as it comes, the mark with the token's
/// first byte.
#[derive(Debug)]
pub(super) struct TokenMasker {
    prefixes: Arc<Prefixes>,
    node: Node,
    place: Place,
}

/// Where in the text the masker stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Place {
    /// Not within a token. The text ends with this beginning of a prefix.
    Outside(Vec<u8>),
    /// Right behind a prefix.
    Prefix,
    /// Within a token; the mark is out.
    Masked,
}

impl Default for Place {
    fn default() -> Self {
        Self::Outside(Vec::new())
    }
}

impl TokenMasker {
    /// Goes on where [`state`](Self::state) was taken with the same prefixes.
    pub(super) fn restore(prefixes: Arc<Prefixes>, place: Place) -> Self {
        let node = match &place {
            Place::Outside(text) => prefixes.trie.open_after(ROOT, text),
            Place::Prefix | Place::Masked => ROOT,
        };
        Self { prefixes, node, place }
    }

    pub(super) fn state(&self) -> Place {
        self.place.clone()
    }

    /// Reads a piece of text and lets all of it out, masked.
    pub(super) fn push(&mut self, input: &[u8], out: &mut impl FnMut(&[u8])) {
        let Some(finder) = &self.prefixes.finder else {
            if !input.is_empty() {
                out(input);
            }
            return;
        };
        // What is read and not let out lies between `from` and `at`.
        let (mut from, mut at) = (0, 0);
        while at < input.len() {
            match &mut self.place {
                Place::Outside(seen) if seen.is_empty() => match finder.find(&input[at..]) {
                    // The first prefix that ends counts, and the automaton knows which.
                    Some(found) => {
                        at += found;
                        self.node = self.prefixes.trie.next(ROOT, input[at]);
                        if self.prefixes.trie.matched(self.node) > 0 {
                            self.place = Place::Prefix;
                        } else if self.node != ROOT {
                            seen.push(input[at]);
                        }
                        at += 1;
                    }
                    None => {
                        self.node = self.prefixes.trie.open_after(ROOT, &input[at..]);
                        at = input.len();
                        seen.extend_from_slice(&input[at - self.prefixes.trie.depth(self.node)..]);
                    }
                },
                Place::Outside(seen) => {
                    let node = self.prefixes.trie.next(self.node, input[at]);
                    self.node = self.prefixes.trie.open(node);
                    seen.push(input[at]);
                    seen.drain(..seen.len() - self.prefixes.trie.depth(self.node));
                    at += 1;
                    if self.prefixes.trie.matched(node) > 0 {
                        self.place = Place::Prefix;
                    }
                }
                Place::Prefix | Place::Masked if !is_token(input[at]) => {
                    self.node = ROOT;
                    self.place = Place::default();
                }
                Place::Prefix => {
                    if at > from {
                        out(&input[from..at]);
                    }
                    out(MASK);
                    self.place = Place::Masked;
                    from = at;
                }
                Place::Masked => {
                    at += input[at..].iter().position(|&byte| !is_token(byte)).unwrap_or(input.len() - at);
                    from = at;
                }
            }
        }
        if at > from {
            out(&input[from..at]);
        }
    }

    /// Whether the text so far makes no difference to what comes.
    pub(super) fn is_idle(&self) -> bool {
        matches!(&self.place, Place::Outside(seen) if seen.is_empty())
    }

    /// The same for a piece that holds no prefix and follows a text that makes no difference; it is let out as it is.
    pub(super) fn pass(&mut self, input: &[u8]) {
        self.node = self.prefixes.trie.open_after(ROOT, input);
        if let Place::Outside(seen) = &mut self.place {
            seen.extend_from_slice(&input[input.len() - self.prefixes.trie.depth(self.node)..]);
        }
    }

    /// The text ends here.
    pub(super) fn flush(&mut self) {
        self.node = ROOT;
        self.place = Place::default();
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'=' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(prefixes: &[&str], text: &str, expected: &str) {
        let prefixes = Arc::new(Prefixes::new(prefixes.iter().copied()));
        let run = |pieces: &mut dyn Iterator<Item = &[u8]>| {
            let mut masker = TokenMasker::restore(prefixes.clone(), Place::default());
            let mut all = Vec::new();
            for piece in pieces {
                masker.push(piece, &mut |bytes| {
                    assert!(!bytes.is_empty());
                    all.extend_from_slice(bytes);
                });
                let state = serde_json::to_string(&masker.state()).unwrap();
                masker = TokenMasker::restore(prefixes.clone(), serde_json::from_str(&state).unwrap());
            }
            String::from_utf8(all).unwrap()
        };
        assert_eq!(run(&mut std::iter::once(text.as_bytes())), expected);
        assert_eq!(run(&mut text.as_bytes().chunks(1)), expected, "byte by byte");
        for at in 0..text.len() {
            let (a, b) = text.as_bytes().split_at(at);
            assert_eq!(run(&mut [a, b].into_iter()), expected, "cut at {at}");
        }
    }

    #[test]
    fn the_prefix_stays_and_the_token_goes() {
        check(&["glpat-"], "token glpat-Ab_1.=-x, next", "token glpat-[MASKED], next");
        check(&["glpat-"], "glglpat-abc", "glglpat-[MASKED]");
        check(&["_gitlab_session="], "Cookie: _gitlab_session=f00; a", "Cookie: _gitlab_session=[MASKED]; a");
    }

    #[test]
    fn a_prefix_within_a_token_belongs_to_it() {
        check(&["glpat-", "gldt-"], "glpat-xgldt-y gldt-z", "glpat-[MASKED] gldt-[MASKED]");
    }

    #[test]
    fn a_prefix_with_nothing_behind_it_is_left_alone() {
        check(&["glpat-"], "glpat- and glpat-", "glpat- and glpat-");
    }

    #[test]
    fn of_two_prefixes_the_one_that_ends_first_counts() {
        check(&["gl", "glpat-"], "glpat-abc", "gl[MASKED]");
        check(&["pat-", "glpat-x"], "glpat-xyz", "glpat-[MASKED]");
    }

    #[test]
    fn scenario_63_any_number_of_prefixes_is_active() {
        let prefixes: Vec<String> = (0..40).map(|i| format!("prefix{i:02}-")).collect();
        let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
        check(&prefixes, "prefix00-a prefix39-b", "prefix00-[MASKED] prefix39-[MASKED]");
    }
}
