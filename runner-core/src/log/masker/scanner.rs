//! Finds the next place in a text where any rule may have something to do: all rules in one pass.
//!
//! Most output holds nothing to mask. What this search passes over needs no other look, whatever the number of rules.
//!
//! The vector search of `aho-corasick` sorts its patterns into buckets and tells by the low halves of four bytes which buckets
//! may have a pattern at a place; only there it compares. It is fast as long as the patterns of a bucket look alike, so they
//! are handed over in an order that brings alike ones together. Should the search distribute them in another way one day,
//! it is slower, not wrong.

use aho_corasick::packed::{self, MatchKind};

use super::phrases::Phrases;
use super::tokens::Prefixes;
use super::trie::Node;
use super::{MASK, url_params};

/// Bytes of a pattern by which the search finds candidates; shorter patterns would make it much slower.
const WINDOW: usize = 4;

/// The most patterns that the search takes.
const MAX_PATTERNS: usize = 128;

/// What the search costs with each number of buckets: the first at most, beyond it the next is faster.
const BUCKETS: [(usize, u32); 2] = [(8, 1000), (16, u32::MAX)];

/// The search for everything that the rules of a job are about.
#[derive(Debug)]
pub(super) struct Scanner {
    searcher: packed::Searcher,
    /// What each pattern is, by its number.
    kinds: Vec<Kind>,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hit {
    /// A value to mask, if it [stands alone](super::phrases::PhraseMasker::stands_alone) behind `node`.
    Value { start: usize, end: usize, node: Node },
    /// The rules themselves have to look at the text from here on.
    Other { start: usize },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A phrase with the node [behind](Phrases::end_of) it.
    Value(Node),
    /// A phrase that another one may cover, or the prefix of a token.
    Other,
    /// The [landmark](url_params::landmarks) of a parameter.
    Landmark,
}

impl Scanner {
    /// A search for `list`, all of the `phrases`, for the `prefixes` of tokens and for the parameters of URLs. `None`: there is
    /// no fast search for these, or a prefix could come about at the mark.
    pub(super) fn new(phrases: &Phrases, list: &[&[u8]], prefixes: &Prefixes) -> Option<Self> {
        let touches_mark = |prefix: &[u8]| {
            let bracket = |byte: &u8| matches!(byte, b'[' | b']');
            prefix.iter().any(bracket) || MASK.windows(prefix.len()).any(|part| part == prefix)
        };
        let prefixes: Vec<&[u8]> = prefixes.list().collect();
        if list.len() + prefixes.len() > MAX_PATTERNS
            || list.iter().chain(&prefixes).any(|pattern| pattern.len() < WINDOW)
            || prefixes.iter().any(|prefix| touches_mark(prefix))
        {
            return None;
        }
        let kind = |phrase| phrases.end_of(phrase, list).map_or(Kind::Other, Kind::Value);
        let list: Vec<(&[u8], Kind)> = list.iter().map(|phrase| (*phrase, kind(phrase))).collect();
        let (buckets, order) = BUCKETS.iter().find_map(|&(buckets, limit)| {
            let arrangement = Arrangement::new(&list, &prefixes, buckets);
            (arrangement.cost() <= limit).then(|| (buckets, arrangement.order()))
        })?;
        if order.len() > MAX_PATTERNS {
            return None;
        }
        let mut config = packed::Config::new();
        config
            .match_kind(MatchKind::LeftmostFirst)
            .only_teddy(true)
            .only_teddy_fat(Some(buckets == 16))
            .heuristic_pattern_limits(false);
        let searcher = config.builder().extend(order.iter().map(|(pattern, _)| pattern)).build()?;
        Some(Self { searcher, kinds: order.into_iter().map(|(_, kind)| kind).collect() })
    }

    /// The first place where something begins that a rule is about. What is cut by the end of the text is not found.
    pub(super) fn find(&self, text: &[u8]) -> Option<Hit> {
        let found = self.searcher.find(text)?;
        let (start, end) = (found.start(), found.end());
        Some(match self.kinds.get(found.pattern().as_usize()) {
            Some(Kind::Value(node)) => Hit::Value { start, end, node: *node },
            Some(Kind::Landmark) => Hit::Other { start: start.saturating_sub(url_params::BEFORE_LANDMARK) },
            _ => Hit::Other { start },
        })
    }
}

/// Patterns sorted into buckets.
struct Arrangement {
    buckets: Vec<Bucket>,
    /// Patterns that look the same to the search as one of the first bucket: they get there, too, wherever they come after it.
    /// Each with the place of that one, in order.
    alike: Vec<(usize, Vec<u8>)>,
}

#[derive(Clone, Default)]
struct Bucket {
    patterns: Vec<(Vec<u8>, Kind)>,
    /// By position: the low halves of bytes that some pattern has there, one bit each.
    low: [u16; WINDOW],
}

impl Arrangement {
    fn new(phrases: &[(&[u8], Kind)], prefixes: &[&[u8]], buckets: usize) -> Self {
        let mut all = Self { buckets: vec![Bucket::default(); buckets], alike: Vec::new() };
        let mut looks = Vec::new();
        let landmarks = url_params::landmarks();
        let rows = (landmarks.len() + prefixes.len() + phrases.len()).div_ceil(buckets);
        for landmark in landmarks {
            let look = low_halves(&landmark);
            match looks.iter().position(|known| *known == look) {
                Some(first) => all.alike.push((first, landmark)),
                None => {
                    looks.push(look);
                    all.buckets[0].add(landmark, Kind::Landmark);
                }
            }
        }
        all.alike.sort_by_key(|(first, _)| *first);
        // They begin alike, but a bucket that is longer than the others costs repetitions.
        let share = prefixes.len().div_ceil(rows).clamp(1, buckets - 1);
        for (i, prefix) in prefixes.iter().enumerate() {
            all.buckets[1 + i % share].add(prefix.to_vec(), Kind::Other);
        }
        for &(phrase, kind) in phrases {
            if let Some(bucket) = all.buckets.iter_mut().min_by_key(|bucket| bucket.growth(phrase)) {
                bucket.add(phrase.to_vec(), kind);
            }
        }
        all
    }

    /// How often a bucket has to be looked at: so many of the 16⁴ possible windows have the look of one of its patterns.
    fn cost(&self) -> u32 {
        self.buckets.iter().map(Bucket::cost).sum()
    }

    /// The patterns in the order in which the search distributes them like this: in turn to each bucket. Gaps are filled with
    /// patterns that look like one that was there before, else with repetitions.
    fn order(self) -> Vec<(Vec<u8>, Kind)> {
        let rows = self.buckets.iter().map(|bucket| bucket.patterns.len()).max().unwrap_or(0);
        let mut alike = self.alike.into_iter().peekable();
        let mut order: Vec<(Vec<u8>, Kind)> = Vec::new();
        for row in 0..rows {
            for bucket in &self.buckets {
                let filler =
                    || alike.next_if(|(first, _)| *first <= row).map(|(_, mark)| (mark, Kind::Landmark));
                let pattern = bucket.patterns.get(row).cloned().or_else(filler);
                let pattern = pattern.or_else(|| bucket.patterns.first().or(order.first()).cloned());
                order.extend(pattern);
            }
        }
        order.extend(alike.map(|(_, mark)| (mark, Kind::Landmark)));
        order
    }
}

impl Bucket {
    fn add(&mut self, pattern: Vec<u8>, kind: Kind) {
        self.low = self.low_with(&pattern);
        self.patterns.push((pattern, kind));
    }

    fn low_with(&self, pattern: &[u8]) -> [u16; WINDOW] {
        let mut low = self.low;
        low.iter_mut().zip(low_halves(pattern)).for_each(|(set, half)| *set |= 1 << half);
        low
    }

    fn cost(&self) -> u32 {
        cost(self.low)
    }

    fn growth(&self, pattern: &[u8]) -> u32 {
        cost(self.low_with(pattern)) - self.cost()
    }
}

fn cost(low: [u16; WINDOW]) -> u32 {
    low.iter().map(|set| set.count_ones()).product()
}

fn low_halves(pattern: &[u8]) -> Vec<u8> {
    pattern.iter().take(WINDOW).map(|byte| byte & 0xF).collect()
}
