//! The text form of a rule: reading and writing.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use super::rule::{Calls, Chance, Effect, Fault, Target, Window};
use crate::core::endpoint::UnknownEndpoint;

/// A text is not a [`Fault`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultError {
    /// The three parts are not there.
    #[error("fault `{0}` has not the form ENDPOINT:WHEN:EFFECT[,EFFECT…]")]
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
    #[error(
        "fault `{fault}`: `{when}` selects no calls; write N, N-M, N-, %N or *, ~CHANCE, @FROM-UNTIL, ^N, joined by &"
    )]
    When {
        /// The whole text.
        fault: String,
        /// The part.
        when: String,
    },
    /// An effect is unknown or has a bad value.
    #[error("fault `{fault}`: unknown effect or bad value in `{effect}`")]
    Effect {
        /// The whole text.
        fault: String,
        /// The effect.
        effect: String,
    },
    /// `down` concerns the whole server and can only be limited in time.
    #[error("fault `{0}`: `down` stands alone: write *:@FROM-UNTIL:down or *:*:down")]
    Down(String),
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
        let when = parts.next().ok_or_else(form)?;
        let When { calls, chance, window, per_job } = parse_when(when)
            .ok_or_else(|| FaultError::When { fault: text.to_owned(), when: when.to_owned() })?;
        let effects = split_effects(parts.next().ok_or_else(form)?)
            .into_iter()
            .map(|effect| {
                parse_effect(&effect).ok_or_else(|| FaultError::Effect {
                    fault: text.to_owned(),
                    effect: String::from_utf8_lossy(&effect).into_owned(),
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let alone = target == Target::Any
            && calls.unwrap_or(Calls::ALL) == Calls::ALL
            && chance.is_none()
            && per_job.is_none()
            && effects.len() == 1;
        if effects.contains(&Effect::Down) && !alone {
            return Err(FaultError::Down(text.to_owned()));
        }
        Ok(Self { target, calls: calls.unwrap_or(Calls::ALL), chance, window, per_job, effects })
    }
}

#[derive(Default)]
struct When {
    calls: Option<Calls>,
    chance: Option<Chance>,
    window: Option<Window>,
    per_job: Option<NonZeroU32>,
}

/// Conditions joined by `&`, each kind at most once.
fn parse_when(text: &str) -> Option<When> {
    let mut when = When::default();
    for condition in text.split('&') {
        let twice = if let Some(chance) = condition.strip_prefix('~') {
            when.chance.replace(parse_chance(chance)?).is_some()
        } else if let Some(window) = condition.strip_prefix('@') {
            when.window.replace(parse_window(window)?).is_some()
        } else if let Some(times) = condition.strip_prefix('^') {
            when.per_job.replace(times.parse().ok()?).is_some()
        } else {
            when.calls.replace(parse_calls(condition)?).is_some()
        };
        if twice {
            return None;
        }
    }
    Some(when)
}

fn parse_calls(text: &str) -> Option<Calls> {
    let number = |text: &str| text.parse::<u64>().ok().filter(|&number| number > 0);
    if text == "*" {
        return Some(Calls::ALL);
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

/// A decimal number from 0 to 1 with at most six places.
fn parse_chance(text: &str) -> Option<Chance> {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(places) || places.len() > 6 {
        return None;
    }
    let whole: u32 = whole.parse().ok()?;
    let places: u32 = format!("{places:0<6}").parse().ok()?;
    Chance::from_millionths(whole.checked_mul(1_000_000)?.checked_add(places)?)
}

fn parse_window(text: &str) -> Option<Window> {
    let (from, until) = text.split_once('-')?;
    if from.is_empty() && until.is_empty() {
        return None;
    }
    let edge = |text: &str| if text.is_empty() { Some(None) } else { parse_duration(text).map(Some) };
    let (from, until) = (edge(from)?.unwrap_or_default(), edge(until)?);
    until.is_none_or(|until| until > from).then_some(Window { from, until })
}

/// Splits at commas and undoes escapes: `\,`, `\\` and `\xNN`. A backslash before anything else is itself.
fn split_effects(text: &str) -> Vec<Vec<u8>> {
    let mut effects = vec![Vec::new()];
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        let (piece, tail) = match (byte, tail) {
            (b'\\', [escaped @ (b',' | b'\\'), tail @ ..]) => (Some(*escaped), tail),
            (b'\\', [b'x', high, low, tail @ ..]) if let Some(byte) = hex(*high, *low) => (Some(byte), tail),
            (b',', tail) => (None, tail),
            (byte, tail) => (Some(*byte), tail),
        };
        match (piece, effects.last_mut()) {
            (Some(byte), Some(effect)) => effect.push(byte),
            _ => effects.push(Vec::new()),
        }
        rest = tail;
    }
    effects
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

fn parse_effect(effect: &[u8]) -> Option<Effect> {
    let Some((name, value)) = split_once(effect) else {
        return match std::str::from_utf8(effect).ok()? {
            "reset" => Some(Effect::ResetBefore),
            "stall" => Some(Effect::StallBefore),
            "unread" => Some(Effect::Unread),
            "down" => Some(Effect::Down),
            "twice" => Some(Effect::Twice),
            status => status.parse().ok().map(Effect::Status),
        };
    };
    match name {
        b"header" => {
            let (name, value) = split_once(value)?;
            return Some(Effect::Header(
                HeaderName::from_bytes(name).ok()?,
                HeaderValue::from_bytes(value).ok()?,
            ));
        }
        b"body" => return Some(Effect::Body(Bytes::copy_from_slice(value))),
        _ => {}
    }
    let value = std::str::from_utf8(value).ok()?;
    match (name, value) {
        (b"throttle", value) => parse_duration(value).map(Effect::Throttle),
        (b"delay", value) => parse_duration(value).map(Effect::Delay),
        (b"delay-before", value) => parse_duration(value).map(Effect::DelayBefore),
        (b"reset", "before") => Some(Effect::ResetBefore),
        (b"reset", "after") => Some(Effect::ResetAfter),
        (b"stall", "before") => Some(Effect::StallBefore),
        (b"stall", "after") => Some(Effect::StallAfter),
        (b"stall", value) => value.parse().ok().map(Effect::StallBody),
        (b"truncate", value) => value.parse().ok().map(Effect::Truncate),
        (b"forget", value) => value.parse().ok().map(Effect::Forget),
        _ => None,
    }
}

fn split_once(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == b'=')?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
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
            Target::Any => f.write_str("*:")?,
            Target::Job => f.write_str("job:")?,
            Target::Endpoint(endpoint) => write!(f, "{endpoint}:")?,
        }
        let limited = self.chance.is_some() || self.window.is_some() || self.per_job.is_some();
        let mut joint = "";
        if self.calls != Calls::ALL || !limited {
            self.calls.fmt(f)?;
            joint = "&";
        }
        if let Some(chance) = self.chance {
            write!(f, "{joint}{chance}")?;
            joint = "&";
        }
        if let Some(window) = self.window {
            write!(f, "{joint}{window}")?;
            joint = "&";
        }
        if let Some(times) = self.per_job {
            write!(f, "{joint}^{times}")?;
        }
        for (index, effect) in self.effects.iter().enumerate() {
            f.write_str(if index == 0 { ":" } else { "," })?;
            effect.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Range { first: 1, last: None } => f.write_str("*"),
            Self::Range { first, last: None } => write!(f, "{first}-"),
            Self::Range { first, last: Some(last) } if first == last => write!(f, "{first}"),
            Self::Range { first, last: Some(last) } => write!(f, "{first}-{last}"),
            Self::EveryNth(step) => write!(f, "%{step}"),
        }
    }
}

impl fmt::Display for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, places) = (self.millionths() / 1_000_000, self.millionths() % 1_000_000);
        if places == 0 {
            return write!(f, "~{whole}");
        }
        write!(f, "~{whole}.{}", format!("{places:06}").trim_end_matches('0'))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}ms-", self.from.as_millis())?;
        match self.until {
            Some(until) => write!(f, "{}ms", until.as_millis()),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => f.write_str(status.as_str()),
            Self::Throttle(patience) => write!(f, "throttle={}ms", patience.as_millis()),
            Self::Header(name, value) => write!(f, "header={name}={}", Escaped(value.as_bytes())),
            Self::Body(body) => write!(f, "body={}", Escaped(body)),
            Self::DelayBefore(delay) => write!(f, "delay-before={}ms", delay.as_millis()),
            Self::Delay(delay) => write!(f, "delay={}ms", delay.as_millis()),
            Self::ResetBefore => f.write_str("reset"),
            Self::ResetAfter => f.write_str("reset=after"),
            Self::Truncate(length) => write!(f, "truncate={length}"),
            Self::StallBefore => f.write_str("stall"),
            Self::StallAfter => f.write_str("stall=after"),
            Self::StallBody(length) => write!(f, "stall={length}"),
            Self::Unread => f.write_str("unread"),
            Self::Forget(length) => write!(f, "forget={length}"),
            Self::Down => f.write_str("down"),
            Self::Twice => f.write_str("twice"),
        }
    }
}

/// Bytes as [`split_effects`] reads them.
struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for char in chunk.valid().chars() {
                match char {
                    ',' => f.write_str("\\,")?,
                    '\\' => f.write_str("\\\\")?,
                    char if char.is_ascii_control() => write!(f, "\\x{:02x}", u32::from(char))?,
                    char => write!(f, "{char}")?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            "*:@10000ms-18000ms:down",
            "*:~0.1:stall",
            "patch_trace:%3&~0.000001&@1000ms-:stall=after,delay-before=5ms",
            "verify:1:body=\\\\\\xff\\x0aé,throttle=7000ms",
            "download_artifact:1:stall=100",
            "upload_artifact:~1:unread",
            "patch_trace:^1:twice",
            "job:%3&~0.1&@1000ms-&^2:503",
        ] {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
        let text = "*:@-2m&*:delay=2m".parse::<Fault>().unwrap();
        assert_eq!(text.to_string(), "*:@0ms-120000ms:delay=120000ms");
        assert_eq!(text.effects, [Effect::Delay(Duration::from_secs(120))]);
    }

    #[test]
    fn bad_texts_say_which_part_is_bad() {
        let error = |text: &str| text.parse::<Fault>().unwrap_err();
        assert!(matches!(error("patch_trace"), FaultError::Form(_)));
        assert!(matches!(error("patch_trace:1"), FaultError::Form(_)));
        assert!(matches!(error("patch:1:503"), FaultError::Endpoint { .. }));
        for when in [
            "0",
            "3-2",
            "",
            "x",
            "%0",
            "1&2",
            "~",
            "~1.1",
            "~-1",
            "~0.1234567",
            "~.5",
            "@",
            "@-",
            "@5s",
            "@9s-3s",
            "@5-9",
            "&1",
            "~0.1&~0.2",
            "^",
            "^0",
            "^-1",
            "^1&^2",
        ] {
            assert!(matches!(error(&format!("patch_trace:{when}:503")), FaultError::When { .. }), "{when}");
        }
        for effect in [
            "",
            "99",
            "delay=5",
            "delay=s",
            "reset=now",
            "header=x",
            "truncate=-1",
            "503,oops",
            "stall=x",
            "throttle=7",
            "unread=1",
        ] {
            assert!(
                matches!(error(&format!("patch_trace:1:{effect}")), FaultError::Effect { .. }),
                "{effect}"
            );
        }
        for down in ["job:*:down", "*:1:down", "*:~0.5:down", "*:^1:down", "*:*:down,503"] {
            assert!(matches!(error(down), FaultError::Down(_)), "{down}");
        }
    }
}
