//! Durations as `config.toml` has them: text such as `"1h30m"`, or an integer number of nanoseconds.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// Nanoseconds of each unit; longer names come first, because `m` is the beginning of `ms`.
const UNITS: [(&str, f64); 8] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];

/// A duration in the file. Zero and "not set" are different things to a reader, the same to the official runner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RawDuration(pub(crate) Duration);

impl RawDuration {
    /// Reads text such as `15m`, `1h30m`, `1.5s`, `0`.
    pub(crate) fn parse(text: &str) -> Result<Self, DurationError> {
        if text == "0" {
            return Ok(Self(Duration::ZERO));
        }
        let mut rest = text;
        let mut nanoseconds = 0.0;
        while !rest.is_empty() || text.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let (number, tail) = rest.split_at(digits);
            let number: f64 = number.parse().map_err(|_| DurationError)?;
            let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(end);
            let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(DurationError)?;
            nanoseconds += number * factor;
            rest = tail;
        }
        Duration::try_from_secs_f64(nanoseconds / 1e9).map(Self).map_err(|_| DurationError)
    }
}

/// The text is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a duration: write a number and a unit, such as \"90s\", \"15m\" or \"1h30m\"")]
pub(crate) struct DurationError;

impl std::str::FromStr for RawDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl<'de> Deserialize<'de> for RawDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DurationVisitor)
    }
}

struct DurationVisitor;

impl Visitor<'_> for DurationVisitor {
    type Value = RawDuration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as \"15m\", or nanoseconds")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<RawDuration, E> {
        RawDuration::parse(text).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, nanoseconds: i64) -> Result<RawDuration, E> {
        let nanoseconds =
            u64::try_from(nanoseconds).map_err(|_| E::custom("a duration must not be negative"))?;
        Ok(RawDuration(Duration::from_nanos(nanoseconds)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::RawDuration;

    #[test]
    fn reads_what_go_writes() {
        for (text, expected) in [
            ("0", Duration::ZERO),
            ("0s", Duration::ZERO),
            ("15m", Duration::from_secs(900)),
            ("1h30m0s", Duration::from_secs(5400)),
            ("1.5s", Duration::from_millis(1500)),
            ("250ms", Duration::from_millis(250)),
            ("3us", Duration::from_micros(3)),
            ("3µs", Duration::from_micros(3)),
            ("7ns", Duration::from_nanos(7)),
        ] {
            assert_eq!(RawDuration::parse(text).map(|d| d.0), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in ["", " ", "5", "m", "-5m", "5 m", "5minutes", "1h2", "1..2s", "999999999999999999h"] {
            assert!(RawDuration::parse(text).is_err(), "{text}");
        }
    }
}
