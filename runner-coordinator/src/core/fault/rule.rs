//! A rule as a value.

use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};

use crate::core::endpoint::Endpoint;

/// A rule: at which calls what goes wrong. See the [module](super) for its text form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The calls that the rule sees and counts, as far as they fall into `window`.
    pub target: Target,
    /// At which of them it acts.
    pub calls: Calls,
    /// How likely it acts then; always without.
    pub chance: Option<Chance>,
    /// When it is there at all; always without.
    pub window: Option<Window>,
    /// How often it acts on requests that concern one job; without limit without. Requests that concern none are not limited.
    pub per_job: Option<NonZeroU32>,
    /// What happens then.
    pub effects: Vec<Effect>,
}

/// Which endpoints a [`Fault`] watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// Every call.
    Any,
    /// Every call that is authorised by a job token.
    Job,
    /// One endpoint.
    Endpoint(Endpoint),
}

/// At which of the calls that it counts a [`Fault`] acts. The first call is number 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Calls {
    /// From `first` to `last`, both included; without `last` for ever.
    Range {
        /// First call.
        first: u64,
        /// Last call.
        last: Option<u64>,
    },
    /// Every call whose number is a multiple of this, at least 1.
    EveryNth(u64),
}

/// How likely a [`Fault`] acts, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chance(u32);

/// A span of time, counted from the coordinator's start: the first time that it was told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first moment.
    pub from: Duration,
    /// The first moment that no longer belongs to it; none for ever.
    pub until: Option<Duration>,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// The request is not processed but answered with this status.
    Status(StatusCode),
    /// The request is not processed but answered by GitLab's request throttle, which asks for so much patience.
    Throttle(Duration),
    /// The answer carries this header.
    Header(HeaderName, HeaderValue),
    /// The answer's body is replaced.
    Body(Bytes),
    /// The request is processed only after this time.
    DelayBefore(Duration),
    /// The answer is held back.
    Delay(Duration),
    /// The connection is lost before the request is processed.
    ResetBefore,
    /// The request is processed, then the connection is lost without an answer.
    ResetAfter,
    /// The connection is lost after so many bytes of the answer's body.
    Truncate(u64),
    /// The request is neither processed nor answered, and the connection stays.
    StallBefore,
    /// The request is processed but never answered, and the connection stays.
    StallAfter,
    /// After so many bytes of the answer's body nothing more comes, and the connection stays.
    StallBody(u64),
    /// Nothing of the request's body is read, and nothing is answered.
    Unread,
    /// So many bytes at the end of the job's trace are lost before the request is processed.
    Forget(u64),
    /// The request is processed twice, as if something on the way had repeated it; the second answer is sent.
    Twice,
    /// Nothing listens while the rule's window lasts. Stands alone, in a rule for every call.
    Down,
}

impl Fault {
    pub(super) fn sees(&self, endpoint: Endpoint) -> bool {
        match self.target {
            Target::Any => true,
            Target::Job => endpoint.is_of_job(),
            Target::Endpoint(one) => one == endpoint,
        }
    }

    pub(super) fn has(&self, effect: &Effect) -> bool {
        self.effects.contains(effect)
    }
}

impl Calls {
    /// All calls.
    pub const ALL: Self = Self::Range { first: 1, last: None };

    pub(super) fn include(self, number: u64) -> bool {
        match self {
            Self::Range { first, last } => number >= first && last.is_none_or(|last| number <= last),
            Self::EveryNth(step) => number.is_multiple_of(step.max(1)),
        }
    }
}

impl Chance {
    /// A chance from 0 (never) to 1,000,000 (always); `None` for more.
    #[must_use]
    pub fn from_millionths(millionths: u32) -> Option<Self> {
        (millionths <= 1_000_000).then_some(Self(millionths))
    }

    /// The chance in millionths.
    #[must_use]
    pub fn millionths(self) -> u32 {
        self.0
    }

    /// Whether an evenly distributed number hits.
    pub(super) fn hits(self, drawn: u64) -> bool {
        drawn % 1_000_000 < u64::from(self.0)
    }
}

impl Window {
    pub(super) fn contains(self, since_start: Duration) -> bool {
        since_start >= self.from && self.until.is_none_or(|until| since_start < until)
    }
}
