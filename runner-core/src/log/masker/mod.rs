//! Keeps secrets out of the log.
//!
//! Three rules, each applied to what the one before let through: values of masked variables, parameters of URLs, and
//! tokens with a known prefix. However the text is cut into pieces, the result is that of the whole text; bytes that may
//! be the beginning of a value are held back until it is known.
//!
//! One search for everything that any rule is about goes ahead. Where it finds nothing the text is let out as it is; only
//! around what it finds the rules are applied, one after the other.

mod finder;
mod phrases;
mod scanner;
mod tokens;
mod trie;
mod url_params;

use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use phrases::Phrases;
pub(super) use phrases::{Held, PhraseMasker};
use scanner::{Hit, Scanner};
use tokens::{Prefixes, TokenMasker};
use url_params::UrlMasker;

/// What stands in the log in place of a secret.
pub const MASK: &[u8] = b"[MASKED]";

/// Bytes to which the rules are applied at a time until they have nothing under way.
const STEP: usize = 64;

/// Prefix of GitLab's personal access tokens, masked in every job.
const ALWAYS_MASKED_PREFIX: &str = "glpat-";

/// Prefixes of GitLab's other tokens.
///
/// Source: GitLab's documentation, "Token overview".
const DEFAULT_PREFIXES: [&str; 13] = [
    "gloas-",
    "gldt-",
    "glrt-",
    "glcbt-",
    "glrtr-",
    "glptt-",
    "glft-",
    "glimt-",
    "glagent-",
    "glsoat-",
    "glffct-",
    "_gitlab_session=",
    "gltok-",
];

/// What a job's log must not show. Fixed before the job's first output; cheap to clone.
///
/// ```
/// use runner_core::log::{MaskRules, Masker};
///
/// let rules = MaskRules::new(["hunter2"], ["corp-"], true);
/// let mut masker = Masker::new(&rules);
/// let mut log = Vec::new();
/// for piece in ["password: hun", "ter2, token: corp-x", "yz, glpat-abc"] {
///     masker.push(piece.as_bytes(), &mut |bytes| log.extend_from_slice(bytes));
/// }
/// masker.flush(&mut |bytes| log.extend_from_slice(bytes));
/// assert_eq!(log, b"password: [MASKED], token: corp-[MASKED], glpat-[MASKED]");
/// ```
#[derive(Clone)]
pub struct MaskRules {
    /// What the phrases were made of, for [`with`](Self::with).
    values: Arc<[SecretString]>,
    phrases: Arc<Phrases>,
    prefixes: Arc<Prefixes>,
    /// `None`: there is no fast search for these rules, and each of them goes through all of the text.
    scanner: Option<Arc<Scanner>>,
}

impl MaskRules {
    /// Masks `values` (of masked variables and secrets; surrounding whitespace is trimmed, empty ones are ignored), the
    /// tokens behind `prefixes` (the payload's `features.token_mask_prefixes`) and, with `default_tokens` (the feature flag
    /// `FF_MASK_ALL_DEFAULT_TOKENS`), those of all kinds that GitLab makes. Personal access tokens and parameters of URLs
    /// are always masked.
    pub fn new<'a>(
        values: impl IntoIterator<Item = &'a str>,
        prefixes: impl IntoIterator<Item = &'a str>,
        default_tokens: bool,
    ) -> Self {
        let defaults: &[&str] = if default_tokens { &DEFAULT_PREFIXES } else { &[] };
        let prefixes = prefixes.into_iter().chain([ALWAYS_MASKED_PREFIX]).chain(defaults.iter().copied());
        Self::of(values.into_iter().map(SecretString::from).collect(), Arc::new(Prefixes::new(prefixes)))
    }

    /// The same rules, and `values` are masked, too.
    #[must_use]
    pub fn with<'a>(&self, values: impl IntoIterator<Item = &'a str>) -> Self {
        let values = values.into_iter().map(SecretString::from);
        Self::of(self.values.iter().cloned().chain(values).collect(), self.prefixes.clone())
    }

    /// Whether `value` was given as one to mask.
    pub(super) fn has(&self, value: &str) -> bool {
        self.values.iter().any(|known| known.expose_secret() == value)
    }

    fn of(values: Arc<[SecretString]>, prefixes: Arc<Prefixes>) -> Self {
        let list = phrases::tidy(values.iter().map(ExposeSecret::expose_secret));
        let phrases = Phrases::new(&list);
        let scanner = Scanner::new(&phrases, &list, &prefixes).map(Arc::new);
        Self { phrases: Arc::new(phrases), values, prefixes, scanner }
    }

    /// The most bytes that a masker of these rules holds back: one less than the longest value.
    pub fn longest_hold(&self) -> usize {
        self.phrases.longest().saturating_sub(1)
    }

    pub(super) fn phrase_masker(&self, held: Held) -> PhraseMasker {
        PhraseMasker::restore(self.phrases.clone(), held)
    }

    /// Masks a text that is known as a whole.
    pub(super) fn apply(&self, text: &[u8]) -> Vec<u8> {
        let mut masker = Masker::new(self);
        let mut masked = Vec::with_capacity(text.len());
        masker.push(text, &mut |bytes| masked.extend_from_slice(bytes));
        masker.flush(&mut |bytes| masked.extend_from_slice(bytes));
        masked
    }
}

impl fmt::Debug for MaskRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaskRules").finish_non_exhaustive()
    }
}

/// Applies [`MaskRules`] to one stream of text.
pub struct Masker {
    scanner: Option<Arc<Scanner>>,
    rules: Chain,
}

/// The rules, one after the other.
struct Chain {
    phrases: PhraseMasker,
    urls: UrlMasker,
    tokens: TokenMasker,
}

/// Where in a stream a [`Masker`] stands; may hold the beginning of a secret.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskerState {
    phrases: Held,
    urls: UrlMasker,
    tokens: tokens::Place,
}

impl Masker {
    /// At the beginning of a stream.
    pub fn new(rules: &MaskRules) -> Self {
        Self::restore(rules, MaskerState::default())
    }

    /// Goes on where [`state`](Self::state) was taken by a masker of the same rules.
    pub fn restore(rules: &MaskRules, state: MaskerState) -> Self {
        let rules_in_turn = Chain {
            phrases: PhraseMasker::restore(rules.phrases.clone(), state.phrases),
            urls: state.urls,
            tokens: TokenMasker::restore(rules.prefixes.clone(), state.tokens),
        };
        Self { scanner: rules.scanner.clone(), rules: rules_in_turn }
    }

    /// What [`restore`](Self::restore) needs.
    pub fn state(&self) -> MaskerState {
        let Chain { phrases, urls, tokens } = &self.rules;
        MaskerState { phrases: phrases.state(), urls: urls.clone(), tokens: tokens.state() }
    }

    /// Reads a piece of text; `out` gets, in pieces of any size, what no later byte can change.
    pub fn push(&mut self, mut text: &[u8], out: &mut impl FnMut(&[u8])) {
        let Self { scanner, rules } = self;
        let Some(scanner) = scanner else { return rules.push(text, out) };
        while !text.is_empty() {
            if !rules.is_idle() {
                let (step, rest) = text.split_at(STEP.min(text.len()));
                rules.push(step, out);
                text = rest;
                continue;
            }
            match scanner.find(text) {
                None => return rules.pass(text, out),
                // Whatever the text before it may be the beginning of ends here: no rule goes on at the mark.
                Some(Hit::Value { start, end, node }) if rules.phrases.stands_alone(node, &text[end..]) => {
                    if start > 0 {
                        out(&text[..start]);
                    }
                    out(MASK);
                    text = &text[end..];
                }
                Some(Hit::Value { start, .. } | Hit::Other { start }) => {
                    let (before, rest) = text.split_at(start);
                    rules.pass(before, out);
                    let (step, rest) = rest.split_at(STEP.min(rest.len()));
                    rules.push(step, out);
                    text = rest;
                }
            }
        }
    }

    /// The text ends here: lets out what was held back. The next text begins afresh.
    pub fn flush(&mut self, out: &mut impl FnMut(&[u8])) {
        self.rules.flush(out);
    }
}

impl Chain {
    fn push(&mut self, text: &[u8], out: &mut impl FnMut(&[u8])) {
        let Self { phrases, urls, tokens } = self;
        phrases.push(text, &mut |bytes| urls.push(bytes, &mut |bytes| tokens.push(bytes, out)));
    }

    /// Whether the text so far makes no difference to what comes.
    fn is_idle(&self) -> bool {
        self.phrases.is_idle() && self.urls == UrlMasker::Outside && self.tokens.is_idle()
    }

    /// Reads a piece in which no rule finds anything, after a text that makes no difference.
    fn pass(&mut self, text: &[u8], out: &mut impl FnMut(&[u8])) {
        let free = self.phrases.pass(text);
        if !free.is_empty() {
            self.urls.pass(free);
            self.tokens.pass(free);
            out(free);
        }
    }

    fn flush(&mut self, out: &mut impl FnMut(&[u8])) {
        let Self { phrases, urls, tokens } = self;
        phrases.flush(&mut |bytes| urls.push(bytes, &mut |bytes| tokens.push(bytes, out)));
        urls.flush();
        tokens.flush();
    }
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masker").finish_non_exhaustive()
    }
}

impl fmt::Debug for MaskerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaskerState").finish_non_exhaustive()
    }
}
