//! Keeps secrets out of the log.
//!
//! Three rules, each applied to what the one before let through: values of masked variables, parameters of URLs, and
//! tokens with a known prefix. However the text is cut into pieces, the result is that of the whole text; bytes that may
//! be the beginning of a value are held back until it is known.

mod finder;
mod phrases;
mod tokens;
mod trie;
mod url_params;

use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use phrases::Phrases;
pub(super) use phrases::{Held, PhraseMasker};
use tokens::{Prefixes, TokenMasker};
use url_params::UrlMasker;

/// What stands in the log in place of a secret.
pub const MASK: &[u8] = b"[MASKED]";

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
        let phrases = Arc::new(Phrases::new(values.iter().map(ExposeSecret::expose_secret)));
        Self { values, phrases, prefixes }
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
        Self {
            phrases: PhraseMasker::restore(rules.phrases.clone(), state.phrases),
            urls: state.urls,
            tokens: TokenMasker::restore(rules.prefixes.clone(), state.tokens),
        }
    }

    /// What [`restore`](Self::restore) needs.
    pub fn state(&self) -> MaskerState {
        MaskerState { phrases: self.phrases.state(), urls: self.urls.clone(), tokens: self.tokens.state() }
    }

    /// Reads a piece of text; `out` gets, in pieces of any size, what no later byte can change.
    pub fn push(&mut self, text: &[u8], out: &mut impl FnMut(&[u8])) {
        let Self { phrases, urls, tokens } = self;
        phrases.push(text, &mut |bytes| urls.push(bytes, &mut |bytes| tokens.push(bytes, out)));
    }

    /// The text ends here: lets out what was held back. The next text begins afresh.
    pub fn flush(&mut self, out: &mut impl FnMut(&[u8])) {
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
