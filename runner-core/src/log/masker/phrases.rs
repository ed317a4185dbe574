//! Masks whole secret values, wherever the text is cut.
//!
//! Every occurrence of a phrase is covered; occurrences that overlap are covered together by one mark, so that nothing of
//! either shows. What a text becomes does not depend on how it is cut into pieces: bytes at the end of a piece that may be
//! the beginning of a phrase are held back until the next bytes tell.

use std::sync::Arc;

use memchr::memmem;
use serde::{Deserialize, Serialize};

use super::MASK;
use super::finder::Finder;
use super::trie::{Node, ROOT, Trie};

/// The phrases of a job.
#[derive(Debug)]
pub(crate) struct Phrases {
    /// `None`: there are no phrases.
    finder: Option<Finder>,
    trie: Trie,
}

impl Phrases {
    /// Takes [tidy] values.
    pub(super) fn new(phrases: &[&[u8]]) -> Self {
        Self { finder: Finder::new(phrases), trie: Trie::new(phrases.iter().copied()) }
    }

    /// Where the text stands behind `phrase`, one of `all`, for [`stands_alone`](PhraseMasker::stands_alone). `None`: another
    /// one holds it otherwise than at its beginning, so that an occurrence may be covered by what began before.
    pub(super) fn end_of(&self, phrase: &[u8], all: &[&[u8]]) -> Option<Node> {
        let finder = memmem::Finder::new(phrase);
        let held = |other: &&[u8]| other.get(1..).is_some_and(|rest| finder.find(rest).is_some());
        let end = phrase.iter().fold(ROOT, |node, &byte| self.trie.next(node, byte));
        (!all.iter().any(held)).then(|| self.trie.open(end))
    }

    pub(crate) fn longest(&self) -> usize {
        self.trie.longest()
    }
}

/// The values to mask as they are, except that surrounding whitespace is trimmed and empty ones are dropped; in order, each once.
pub(super) fn tidy<'a>(values: impl IntoIterator<Item = &'a str>) -> Vec<&'a [u8]> {
    let mut phrases: Vec<&[u8]> =
        values.into_iter().map(|v| v.trim().as_bytes()).filter(|v| !v.is_empty()).collect();
    phrases.sort_unstable();
    phrases.dedup();
    phrases
}

/// Masks the phrases in one stream of text.
#[derive(Debug)]
pub(crate) struct PhraseMasker {
    phrases: Arc<Phrases>,
    node: Node,
    held: Held,
}

/// Text that was read and not let out yet: the beginning of a phrase that may still be completed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    text: Vec<u8>,
    /// So many bytes at the beginning belong to an occurrence whose mark is out already.
    covered: usize,
    /// Occurrences within the text whose mark is not out, in order, apart from each other, as begin and end.
    found: Vec<(usize, usize)>,
}

impl PhraseMasker {
    /// Goes on where [`state`](Self::state) was taken with the same phrases.
    pub(crate) fn restore(phrases: Arc<Phrases>, held: Held) -> Self {
        let node = held.text.iter().fold(ROOT, |node, &byte| phrases.trie.next(node, byte));
        Self { node: phrases.trie.open(node), phrases, held }
    }

    pub(crate) fn phrases(&self) -> &Phrases {
        &self.phrases
    }

    pub(crate) fn state(&self) -> Held {
        self.held.clone()
    }

    /// Reads a piece of text and lets out what no later byte can change.
    pub(crate) fn push(&mut self, mut input: &[u8], out: &mut impl FnMut(&[u8])) {
        let Some(finder) = &self.phrases.finder else {
            if !input.is_empty() {
                out(input);
            }
            return;
        };
        while !input.is_empty() {
            if self.held.text.is_empty() {
                let Some(found) = finder.find(input) else {
                    let free = self.pass(input);
                    if !free.is_empty() {
                        out(free);
                    }
                    return;
                };
                // A longer phrase may have begun before and be cut by the end of this piece.
                let (before, rest) = input.split_at(found);
                let reach = input.len().saturating_sub(self.phrases.longest()).min(before.len());
                self.node = self.phrases.trie.open_after(ROOT, &before[reach..]);
                let (free, open) = before.split_at(before.len() - self.phrases.trie.depth(self.node));
                if !free.is_empty() {
                    out(free);
                }
                self.held.text.extend_from_slice(open);
                input = rest;
            }
            while let Some((&byte, rest)) = input.split_first() {
                input = rest;
                let node = self.phrases.trie.next(self.node, byte);
                self.node = self.phrases.trie.open(node);
                self.held.text.push(byte);
                self.held.cover_last(self.phrases.trie.matched(node));
                self.held.release(self.held.text.len() - self.phrases.trie.depth(self.node), out);
                if self.held.text.is_empty() {
                    break;
                }
            }
        }
    }

    /// Whether the text so far makes no difference to what comes.
    pub(super) fn is_idle(&self) -> bool {
        self.held.text.is_empty()
    }

    /// Whether an occurrence that ends at the node `end`, with `after` behind it, is the only one there: no phrase that began
    /// within it goes on. If `after` is too short to tell, it is not.
    pub(super) fn stands_alone(&self, end: Node, after: &[u8]) -> bool {
        let trie = &self.phrases.trie;
        let (mut node, mut read) = (end, 0);
        while trie.depth(node) > read {
            let Some(&byte) = after.get(read) else { return false };
            let next = trie.next(node, byte);
            read += 1;
            if trie.matched(next) > read {
                return false;
            }
            node = trie.open(next);
        }
        true
    }

    /// Reads a piece of text that holds no phrase and follows a text that makes no difference. Returns what of it can be let
    /// out.
    pub(super) fn pass<'a>(&mut self, input: &'a [u8]) -> &'a [u8] {
        self.node = self.phrases.trie.open_after(ROOT, input);
        let (free, open) = input.split_at(input.len() - self.phrases.trie.depth(self.node));
        self.held.text.extend_from_slice(open);
        free
    }

    /// The same for a piece that is known to hold no phrase and to end none that was begun before.
    pub(crate) fn push_clean(&mut self, input: &[u8], out: &mut impl FnMut(&[u8])) {
        let trie = &self.phrases.trie;
        self.node = trie.open_after(self.node, input);
        let open = trie.depth(self.node);
        if let Some(free) = input.len().checked_sub(open) {
            self.held.release(self.held.text.len(), out);
            if free > 0 {
                out(&input[..free]);
            }
            self.held.text.extend_from_slice(&input[free..]);
        } else {
            self.held.text.extend_from_slice(input);
            self.held.release(self.held.text.len() - open, out);
        }
    }

    /// The text ends here, or a later byte does not belong to it: lets everything out.
    pub(crate) fn flush(&mut self, out: &mut impl FnMut(&[u8])) {
        self.node = ROOT;
        self.held.release(self.held.text.len(), out);
    }
}

impl Held {
    /// Notes that the last `len` bytes are a phrase, and joins what overlaps them.
    fn cover_last(&mut self, len: usize) {
        if len == 0 {
            return;
        }
        let end = self.text.len();
        let mut start = end - len;
        while let Some(&(earlier, _)) = self.found.last().filter(|found| found.1 > start) {
            start = start.min(earlier);
            self.found.pop();
        }
        if start < self.covered {
            self.covered = end;
        } else {
            self.found.push((start, end));
        }
    }

    /// Lets the first `count` bytes out: a mark for what is covered, the rest as it is. An occurrence right behind them is
    /// marked too: nothing can begin before it any more.
    fn release(&mut self, count: usize, out: &mut impl FnMut(&[u8])) {
        let mut at = self.covered.min(count);
        let mut covered = self.covered;
        let mut marked = 0;
        for &(start, end) in self.found.iter().take_while(|found| found.0 <= count) {
            if start > at {
                out(&self.text[at..start]);
            }
            out(MASK);
            at = end.min(count);
            covered = end;
            marked += 1;
        }
        if count > at {
            out(&self.text[at..count]);
        }
        self.found.drain(..marked);
        for found in &mut self.found {
            *found = (found.0 - count, found.1 - count);
        }
        self.covered = covered.saturating_sub(count);
        self.text.drain(..count);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition: cover all occurrences, join those that overlap, put one mark for each.
    fn at_once(phrases: &[&str], text: &str) -> String {
        let mut phrases: Vec<&str> = phrases.iter().map(|p| p.trim()).collect();
        phrases.retain(|p| !p.is_empty());
        let mut found: Vec<(usize, usize)> = Vec::new();
        for start in 0..text.len() {
            let len = phrases
                .iter()
                .filter(|p| text.as_bytes()[start..].starts_with(p.as_bytes()))
                .map(|p| p.len())
                .max();
            match (len, found.last_mut()) {
                (None, _) => {}
                (Some(len), Some(last)) if last.1 > start => last.1 = last.1.max(start + len),
                (Some(len), _) => found.push((start, start + len)),
            }
        }
        let mut out = String::new();
        let mut at = 0;
        for (start, end) in found {
            out += &text[at..start];
            out += "[MASKED]";
            at = end;
        }
        out + &text[at..]
    }

    fn in_pieces<'a>(phrases: &[&str], pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
        let phrases = Arc::new(Phrases::new(&tidy(phrases.iter().copied())));
        let mut masker = PhraseMasker::restore(phrases.clone(), Held::default());
        let mut all = Vec::new();
        for piece in pieces {
            masker.push(piece, &mut |bytes| all.extend_from_slice(bytes));
            assert!(
                masker.held.text.len() < phrases.longest().max(1),
                "no more than a proper prefix is held"
            );
            // A restored masker goes on in the same way.
            let state = serde_json::to_string(&masker.state()).unwrap();
            masker = PhraseMasker::restore(phrases.clone(), serde_json::from_str(&state).unwrap());
        }
        masker.flush(&mut |bytes| all.extend_from_slice(bytes));
        assert_eq!(masker.held, Held::default());
        String::from_utf8(all).unwrap()
    }

    fn cut_in_two_everywhere(phrases: &[&str], text: &str, expected: &str) {
        assert_eq!(at_once(phrases, text), expected, "{phrases:?} {text:?}");
        for at in 0..=text.len() {
            let (a, b) = text.as_bytes().split_at(at);
            assert_eq!(in_pieces(phrases, [a, b]), expected, "{phrases:?} {text:?} cut at {at}");
        }
        assert_eq!(
            in_pieces(phrases, text.as_bytes().chunks(1)),
            expected,
            "{phrases:?} {text:?} byte by byte"
        );
    }

    #[test]
    fn an_occurrence_is_masked_wherever_it_is_cut() {
        cut_in_two_everywhere(
            &["secret"],
            "a secret, secretsecret and secre",
            "a [MASKED], [MASKED][MASKED] and secre",
        );
    }

    #[test]
    fn a_false_start_does_not_hide_the_true_one() {
        cut_in_two_everywhere(&["aab-x"], "aaab-x", "a[MASKED]");
        cut_in_two_everywhere(&["aab-secret-value"], "aaab-secret-value!", "a[MASKED]!");
        cut_in_two_everywhere(&["abababc"], "ababababc", "ab[MASKED]");
    }

    #[test]
    fn the_longer_of_two_values_wins() {
        cut_in_two_everywhere(
            &["pass", "password"],
            "password pass passwor",
            "[MASKED] [MASKED] [MASKED]wor",
        );
        cut_in_two_everywhere(&["b", "abcd"], "abcd abc", "[MASKED] a[MASKED]c");
        cut_in_two_everywhere(&["xabyabz", "ab"], "xabyab xabyabz", "x[MASKED]y[MASKED] [MASKED]");
    }

    #[test]
    fn values_that_overlap_are_covered_together() {
        cut_in_two_everywhere(&["user:pass", "pass@host"], "user:pass@host", "[MASKED]");
        cut_in_two_everywhere(&["aa"], "aaa a", "[MASKED] a");
    }

    #[test]
    fn values_are_trimmed_and_may_have_several_lines() {
        cut_in_two_everywhere(&[" one\ntwo\n", "  ", ""], "x one\ntwo\none two", "x [MASKED]\none two");
    }

    #[test]
    fn the_mark_itself_is_left_alone() {
        cut_in_two_everywhere(&["MASKED", "K", "token"], "token", "[MASKED]");
    }

    #[test]
    fn a_value_is_marked_as_soon_as_it_is_complete() {
        let mut masker =
            PhraseMasker::restore(Arc::new(Phrases::new(&[&b"abc"[..], b"abcdef"])), Held::default());
        let mut all = Vec::new();
        masker.push(b"x abc", &mut |bytes| all.extend_from_slice(bytes));
        assert_eq!(all, b"x [MASKED]");
        masker.push(b"d!", &mut |bytes| all.extend_from_slice(bytes));
        assert_eq!(all, b"x [MASKED]d!");
    }

    #[test]
    fn many_long_values_are_found_as_well() {
        let values: Vec<String> = (0..120).map(|i| format!("{i:03}").repeat(50)).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let text = format!("<{}>", values[77]);
        assert_eq!(in_pieces(&values, text.as_bytes().chunks(7)), "<[MASKED]>");
    }

    fn pieces(text: &str, cuts: &[usize]) -> Vec<Vec<u8>> {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        cuts.windows(2).map(|w| text.as_bytes()[w[0]..w[1]].to_vec()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn cutting_never_changes_the_result(
            phrases in prop::collection::vec("[ab]{1,6}|[ab]{4,9}|[abc]{2,4}|[abc-]{3,9}", 1..5),
            text in "[ab]{0,20}|[abc]{0,30}|[abc-]{0,40}",
            cuts in prop::collection::vec(0usize..64, 0..8),
        ) {
            let phrases: Vec<&str> = phrases.iter().map(String::as_str).collect();
            let pieces = pieces(&text, &cuts);
            let masked = in_pieces(&phrases, pieces.iter().map(Vec::as_slice));
            prop_assert_eq!(&masked, &at_once(&phrases, &text));
            for part in masked.split("[MASKED]") {
                for phrase in &phrases {
                    prop_assert!(!part.contains(phrase));
                }
            }
        }
    }
}
