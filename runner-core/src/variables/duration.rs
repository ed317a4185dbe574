//! Durations as Go writes them: `1h20m`, `1.5h`, `300ms`. The helper's flags and some job variables use them.

use std::time::Duration;

/// Units and their nanoseconds. Longer names first, so that `ms` is not read as minutes.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3600 * 1_000_000_000),
];

/// Why a text is not a duration of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DurationError {
    #[error("not a duration such as 30s, 15m or 1h20m")]
    Malformed,
    #[error("negative")]
    Negative,
}

/// Reads a Go duration. Units are mandatory except for a plain zero.
pub(crate) fn parse(text: &str) -> Result<Duration, DurationError> {
    let (negative, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if unsigned == "0" {
        return Ok(Duration::ZERO);
    }
    if unsigned.is_empty() {
        return Err(DurationError::Malformed);
    }
    let mut total: u128 = 0;
    let mut rest = unsigned;
    while !rest.is_empty() {
        let (nanoseconds, after) = part(rest).ok_or(DurationError::Malformed)?;
        total += nanoseconds;
        rest = after;
    }
    // Go counts in 63 bits; more is malformed there.
    let total = i64::try_from(total).map_err(|_| DurationError::Malformed)?;
    if negative && total > 0 {
        return Err(DurationError::Negative);
    }
    Ok(Duration::from_nanos(total.unsigned_abs()))
}

/// One number with its unit.
fn part(text: &str) -> Option<(u128, &str)> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (unit, rest) = UNITS
        .iter()
        .find_map(|(name, size)| rest.strip_prefix(name).map(|rest| (u128::from(*size), rest)))?;
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()?.into() };
    // More than 18 digits of a fraction are below a nanosecond of any unit.
    let fraction = &fraction[..fraction.len().min(18)];
    let part = if fraction.is_empty() {
        0
    } else {
        let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
        u128::from(fraction.parse::<u64>().ok()?) * unit / scale
    };
    Some((whole * unit + part, rest))
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

/// Writes a duration as Go does, in whole seconds: `1h0m0s`, `10m0s`, `5s`.
pub(crate) fn format(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{DurationError, format, parse};

    proptest! {
        #[test]
        fn what_is_written_can_be_read(seconds in 0_u64..1_000_000_000) {
            let duration = Duration::from_secs(seconds);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[-+.0-9hmsuµ ]{0,40}") {
            let _ = parse(&text);
        }
    }

    #[test]
    fn reads_what_go_reads() {
        for (text, expected) in [
            ("0", 0),
            ("0s", 0),
            ("-0s", 0),
            ("30s", 30_000),
            ("15m", 900_000),
            ("1h20m", 4_800_000),
            ("1.5h", 5_400_000),
            (".5s", 500),
            ("1.s", 1_000),
            ("+2s", 2_000),
            ("1h1ms", 3_600_001),
            ("2000us", 2),
            ("2000µs", 2),
            ("1m1m", 120_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(expected)), "{text}");
        }
        for text in ["", "-", "1", "banana", "1x", "s", ".s", "1h ", " 1h", "1d", "99999999999h", "1 h"] {
            assert_eq!(parse(text), Err(DurationError::Malformed), "{text}");
        }
        assert_eq!(parse("-1s"), Err(DurationError::Negative));
    }

    #[test]
    fn writes_what_go_writes() {
        for (seconds, expected) in
            [(0, "0s"), (5, "5s"), (60, "1m0s"), (600, "10m0s"), (3600, "1h0m0s"), (3725, "1h2m5s")]
        {
            assert_eq!(format(Duration::from_secs(seconds)), expected);
        }
    }
}
