//! Faults on demand: a rule says at which calls of which endpoint what goes wrong.
//!
//! # Text form
//!
//! `ENDPOINT:CALLS:EFFECT[,EFFECT…]`
//!
//! | Part | Form | Meaning |
//! | --- | --- | --- |
//! | ENDPOINT | `patch_trace`, … | one [`Endpoint`] |
//! | | `job` | every call with a job token |
//! | | `*` | every call |
//! | CALLS | `3` | the third call that this rule sees |
//! | | `2-4`, `2-` | second to fourth; from the second on |
//! | | `%3` | every third |
//! | | `*` | all |
//! | EFFECT | `503` | answered with this status, the request is not processed |
//! | | `header=NAME=VALUE` | header of the answer, replacing one of that name |
//! | | `body=TEXT` | body of the answer; a comma in it is written `\,` |
//! | | `delay=1500ms`, `10s`, `2m` | the answer is held back, after processing |
//! | | `reset` | connection lost before the request is processed |
//! | | `reset=after` | processed, then the connection is lost without an answer |
//! | | `truncate=100` | connection lost after 100 bytes of the answer's body |
//! | | `forget=512` | the last 512 bytes of the job's trace are lost first |
//!
//! Several rules may meet one call; their effects add up, and of two statuses the first counts.
//!
//! ```
//! use runner_coordinator::fault::Fault;
//!
//! let fault: Fault = "patch_trace:2-4:503,header=Retry-After=1".parse()?;
//! assert_eq!(fault.to_string(), "patch_trace:2-4:503,header=retry-after=1");
//! assert!("patch_trace:2:teapot".parse::<Fault>().is_err());
//! # Ok::<(), runner_coordinator::fault::FaultError>(())
//! ```

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode};

use super::answer::{self, Answer, Cut, Payload, Plain};
use super::endpoint::{Endpoint, UnknownEndpoint};

/// A rule: at which calls what goes wrong. See the [module](self) for its text form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The calls that the rule counts.
    pub target: Target,
    /// At which of them it acts.
    pub calls: Calls,
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

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// The request is not processed but answered with this status.
    Status(StatusCode),
    /// The answer carries this header.
    Header(HeaderName, HeaderValue),
    /// The answer's body is replaced.
    Body(Bytes),
    /// The answer is held back.
    Delay(Duration),
    /// The connection is lost before the request is processed.
    ResetBefore,
    /// The request is processed, then the connection is lost without an answer.
    ResetAfter,
    /// The connection is lost after so many bytes of the answer's body.
    Truncate(u64),
    /// So many bytes at the end of the job's trace are lost before the request is processed.
    Forget(u64),
}

/// A text is not a [`Fault`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultError {
    /// The three parts are not there.
    #[error("fault `{0}` has not the form ENDPOINT:CALLS:EFFECT[,EFFECT…]")]
    Form(String),
    /// The first part names no endpoint.
    #[error("fault `{fault}`")]
    Endpoint {
        /// The whole text.
        fault: String,
        /// What is wrong with it.
        #[source]
        source: UnknownEndpoint,
    },
    /// The second part selects no calls.
    #[error("fault `{fault}`: `{calls}` selects no calls; write N, N-M, N-, %N or *")]
    Calls {
        /// The whole text.
        fault: String,
        /// The part.
        calls: String,
    },
    /// An effect is unknown or has a bad value.
    #[error("fault `{fault}`: unknown effect or bad value in `{effect}`")]
    Effect {
        /// The whole text.
        fault: String,
        /// The effect.
        effect: String,
    },
}

impl Fault {
    fn sees(&self, endpoint: Endpoint) -> bool {
        match self.target {
            Target::Any => true,
            Target::Job => endpoint.is_of_job(),
            Target::Endpoint(one) => one == endpoint,
        }
    }
}

impl Calls {
    fn include(self, number: u64) -> bool {
        match self {
            Self::Range { first, last } => number >= first && last.is_none_or(|last| number <= last),
            Self::EveryNth(step) => number.is_multiple_of(step.max(1)),
        }
    }
}

/// All rules with what they have counted.
#[derive(Debug, Default)]
pub(super) struct Faults {
    rules: Vec<(Fault, u64)>,
}

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.rules.push((fault, 0));
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    /// Counts a call and collects what happens to it.
    pub(super) fn plan(&mut self, endpoint: Endpoint) -> Plan {
        let mut plan = Plan::default();
        for (fault, seen) in self.rules.iter_mut().filter(|(fault, _)| fault.sees(endpoint)) {
            *seen += 1;
            if fault.calls.include(*seen) {
                for effect in &fault.effects {
                    plan.add(effect);
                }
            }
        }
        plan
    }
}

/// What happens to one call.
#[derive(Debug, Default)]
pub(super) struct Plan {
    status: Option<StatusCode>,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Option<Bytes>,
    delay: Duration,
    reset_before: bool,
    reset_after: bool,
    truncate: Option<u64>,
    pub(super) forget: u64,
}

impl Plan {
    fn add(&mut self, effect: &Effect) {
        match effect {
            Effect::Status(status) => {
                self.status.get_or_insert(*status);
            }
            Effect::Header(name, value) => self.headers.push((name.clone(), value.clone())),
            Effect::Body(body) => self.body = Some(body.clone()),
            Effect::Delay(delay) => self.delay += *delay,
            Effect::ResetBefore => self.reset_before = true,
            Effect::ResetAfter => self.reset_after = true,
            Effect::Truncate(length) => self.truncate = Some(*length),
            Effect::Forget(length) => self.forget += length,
        }
    }

    /// The answer of a request that is not processed.
    pub(super) fn instead(&self) -> Option<Plain> {
        if self.reset_before {
            return Some(answer::empty(StatusCode::INTERNAL_SERVER_ERROR));
        }
        let status = self.status?;
        if status == StatusCode::NO_CONTENT || status.is_redirection() {
            return Some(answer::empty(status));
        }
        Some(answer::error(status))
    }

    /// Puts the rest of the plan on an answer.
    pub(super) fn finish(self, mut response: Response<Payload>) -> Answer {
        for (name, value) in self.headers {
            response.headers_mut().insert(name, value);
        }
        if let Some(body) = self.body {
            *response.body_mut() = Payload::Bytes(body);
        }
        let cut = if self.reset_before || self.reset_after {
            Some(Cut::NoAnswer)
        } else {
            self.truncate.map(Cut::Body)
        };
        Answer { response, delay: self.delay, cut }
    }
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || FaultError::Form(text.to_owned());
        let mut parts = text.splitn(3, ':');
        let target = match parts.next().ok_or_else(form)? {
            "*" => Target::Any,
            "job" => Target::Job,
            name => Target::Endpoint(
                name.parse().map_err(|source| FaultError::Endpoint { fault: text.to_owned(), source })?,
            ),
        };
        let calls = parts.next().ok_or_else(form)?;
        let calls = parse_calls(calls)
            .ok_or_else(|| FaultError::Calls { fault: text.to_owned(), calls: calls.to_owned() })?;
        let effects = split_effects(parts.next().ok_or_else(form)?)
            .into_iter()
            .map(|effect| {
                parse_effect(&effect).ok_or_else(|| FaultError::Effect { fault: text.to_owned(), effect })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { target, calls, effects })
    }
}

fn parse_calls(text: &str) -> Option<Calls> {
    let number = |text: &str| text.parse::<u64>().ok().filter(|&number| number > 0);
    if text == "*" {
        return Some(Calls::Range { first: 1, last: None });
    }
    if let Some(step) = text.strip_prefix('%') {
        return number(step).map(Calls::EveryNth);
    }
    let Some((first, last)) = text.split_once('-') else {
        let call = number(text)?;
        return Some(Calls::Range { first: call, last: Some(call) });
    };
    let first = number(first)?;
    if last.is_empty() {
        return Some(Calls::Range { first, last: None });
    }
    number(last).filter(|&last| last >= first).map(|last| Calls::Range { first, last: Some(last) })
}

/// Splits at commas; `\,` is a comma that does not split.
fn split_effects(text: &str) -> Vec<String> {
    let mut effects = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            ',' => effects.push(String::new()),
            _ => {
                let char = if char == '\\' { chars.next_if_eq(&',').unwrap_or('\\') } else { char };
                if let Some(last) = effects.last_mut() {
                    last.push(char);
                }
            }
        }
    }
    effects
}

fn parse_effect(text: &str) -> Option<Effect> {
    let Some((name, value)) = text.split_once('=') else {
        return match text {
            "reset" => Some(Effect::ResetBefore),
            status => status.parse().ok().map(Effect::Status),
        };
    };
    match name {
        "header" => {
            let (name, value) = value.split_once('=')?;
            Some(Effect::Header(name.parse().ok()?, value.parse().ok()?))
        }
        "body" => Some(Effect::Body(Bytes::copy_from_slice(value.as_bytes()))),
        "delay" => parse_duration(value).map(Effect::Delay),
        "reset" if value == "before" => Some(Effect::ResetBefore),
        "reset" if value == "after" => Some(Effect::ResetAfter),
        "truncate" => value.parse().ok().map(Effect::Truncate),
        "forget" => value.parse().ok().map(Effect::Forget),
        _ => None,
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|char: char| !char.is_ascii_digit());
    let count: u64 = digits.parse().ok()?;
    match &text[digits.len()..] {
        "ms" => Some(Duration::from_millis(count)),
        "s" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_secs(count.checked_mul(60)?)),
        _ => None,
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.target {
            Target::Any => f.write_str("*")?,
            Target::Job => f.write_str("job")?,
            Target::Endpoint(endpoint) => endpoint.fmt(f)?,
        }
        match self.calls {
            Calls::Range { first: 1, last: None } => f.write_str(":*:")?,
            Calls::Range { first, last: None } => write!(f, ":{first}-:")?,
            Calls::Range { first, last: Some(last) } if first == last => write!(f, ":{first}:")?,
            Calls::Range { first, last: Some(last) } => write!(f, ":{first}-{last}:")?,
            Calls::EveryNth(step) => write!(f, ":%{step}:")?,
        }
        for (index, effect) in self.effects.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            effect.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(',', "\\,");
        match self {
            Self::Status(status) => f.write_str(status.as_str()),
            Self::Header(name, value) => write!(f, "header={name}={}", escaped(value.as_bytes())),
            Self::Body(body) => write!(f, "body={}", escaped(body)),
            Self::Delay(delay) => write!(f, "delay={}ms", delay.as_millis()),
            Self::ResetBefore => f.write_str("reset"),
            Self::ResetAfter => f.write_str("reset=after"),
            Self::Truncate(length) => write!(f, "truncate={length}"),
            Self::Forget(length) => write!(f, "forget={length}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acting_calls(fault: &str, calls: usize) -> Vec<usize> {
        let mut faults = Faults::default();
        faults.add(fault.parse().unwrap());
        (1..=calls).filter(|_| faults.plan(Endpoint::PatchTrace).instead().is_some()).collect()
    }

    #[test]
    fn call_selectors() {
        assert_eq!(acting_calls("patch_trace:2:503", 5), [2]);
        assert_eq!(acting_calls("patch_trace:2-3:503", 5), [2, 3]);
        assert_eq!(acting_calls("patch_trace:4-:503", 5), [4, 5]);
        assert_eq!(acting_calls("patch_trace:%2:503", 5), [2, 4]);
        assert_eq!(acting_calls("job:*:503", 2), [1, 2]);
        assert_eq!(acting_calls("*:1:reset", 2), [1]);
        assert_eq!(acting_calls("update_job:*:503", 5), [] as [usize; 0]);
    }

    #[test]
    fn text_round_trips() {
        for text in [
            "patch_trace:2:503",
            "request_job:1-3:429,header=retry-after=7",
            "update_job:%2:reset=after",
            "*:*:delay=1500ms",
            "job:2-:truncate=10,forget=3",
            "verify:1:body=a\\,b:c,header=content-type=text/plain",
            "register:1:reset",
        ] {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
        assert_eq!(
            "*:1:delay=2m".parse::<Fault>().unwrap().effects,
            [Effect::Delay(Duration::from_secs(120))]
        );
    }

    #[test]
    fn bad_texts_say_which_part_is_bad() {
        let error = |text: &str| text.parse::<Fault>().unwrap_err();
        assert!(matches!(error("patch_trace"), FaultError::Form(_)));
        assert!(matches!(error("patch_trace:1"), FaultError::Form(_)));
        assert!(matches!(error("patch:1:503"), FaultError::Endpoint { .. }));
        for calls in ["0", "3-2", "", "x", "%0"] {
            assert!(
                matches!(error(&format!("patch_trace:{calls}:503")), FaultError::Calls { .. }),
                "{calls}"
            );
        }
        for effect in ["", "99", "delay=5", "delay=s", "reset=now", "header=x", "truncate=-1", "503,oops"] {
            assert!(
                matches!(error(&format!("patch_trace:1:{effect}")), FaultError::Effect { .. }),
                "{effect}"
            );
        }
    }

    #[test]
    fn effects_of_several_rules_add_up() {
        let mut faults = Faults::default();
        for rule in ["job:*:delay=1s", "patch_trace:1:503,delay=2s", "patch_trace:1:500,header=x=y"] {
            faults.add(rule.parse().unwrap());
        }
        let plan = faults.plan(Endpoint::PatchTrace);
        let instead = plan.instead().unwrap();
        let answer = plan.finish(*instead);
        assert_eq!(answer.response.status(), 503);
        assert_eq!(answer.response.headers()["x"], "y");
        assert_eq!(answer.delay, Duration::from_secs(3));
        assert_eq!(answer.cut, None);
    }
}
