//! Finds where a match may begin, as fast as the machine can. The automaton beside it decides.

use aho_corasick::packed::{self, MatchKind as PackedKind};
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

/// Up to this many bytes of patterns the automaton is a table, whose size grows with their product; beyond it would cost a
/// job megabytes.
const TABLE_LIMIT: usize = 1024;

/// Finds the first place where any of the patterns begins.
#[derive(Debug)]
pub(super) enum Finder {
    /// Vector instructions; for up to a few dozen patterns.
    Packed(packed::Searcher),
    Automaton(AhoCorasick),
    /// No searcher can be built: every place may be the beginning of a match.
    Everywhere,
}

impl Finder {
    /// `None`: there are no patterns. None of them is empty.
    pub(super) fn new(patterns: &[&[u8]]) -> Option<Self> {
        if patterns.is_empty() {
            return None;
        }
        let mut config = packed::Config::new();
        config.match_kind(PackedKind::LeftmostFirst).only_teddy(true);
        if let Some(searcher) = config.builder().extend(patterns).build() {
            return Some(Self::Packed(searcher));
        }
        let total: usize = patterns.iter().map(|pattern| pattern.len()).sum();
        let kind = (total > TABLE_LIMIT).then_some(AhoCorasickKind::ContiguousNFA);
        let automaton =
            AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).kind(kind).build(patterns);
        Some(automaton.map_or(Self::Everywhere, Self::Automaton))
    }

    /// A place in `text` before which no match begins.
    pub(super) fn find(&self, text: &[u8]) -> Option<usize> {
        match self {
            Self::Packed(searcher) => searcher.find(text).map(|found| found.start()),
            Self::Automaton(automaton) => automaton.find(text).map(|found| found.start()),
            Self::Everywhere => Some(0).filter(|at| *at < text.len()),
        }
    }
}
