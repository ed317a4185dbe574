//! Durations in words: `timeout`, `start_in`, `expire_in`, `auto_stop_in`.
//! <https://docs.gitlab.com/ci/yaml/#timeout>

use std::time::Duration;

const MINUTE: f64 = 60.0;
const HOUR: f64 = 60.0 * MINUTE;
const DAY: f64 = 24.0 * HOUR;
const WEEK: f64 = 7.0 * DAY;
const MONTH: f64 = 30.0 * DAY;
const YEAR: f64 = 31_557_600.0;
/// Longest duration that is understood; the keywords have lower limits of their own.
const MAX: f64 = 1000.0 * YEAR;

/// Reads `1h 30m`, `3 hours and 20 minutes`, `90`, `10:20`, `two days`. `None`: not a duration, or zero.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let text = text.trim().to_lowercase();
    let seconds = if text.contains(':') { clock(&text)? } else { words(&text)? };
    (seconds > 0.0 && seconds <= MAX).then(|| Duration::from_secs_f64(seconds))
}

/// `3:41:59`: from the right seconds, minutes, hours, days, months, years.
fn clock(text: &str) -> Option<f64> {
    const UNITS: [f64; 6] = [1.0, MINUTE, HOUR, DAY, MONTH, YEAR];
    let parts: Vec<&str> = text.split(':').collect();
    if parts.len() > UNITS.len() {
        return None;
    }
    let mut sum = 0.0;
    for (part, unit) in parts.iter().rev().zip(UNITS) {
        if part.is_empty() || !part.chars().all(|c| c.is_ascii_digit() || c == '.') {
            return None;
        }
        sum += part.parse::<f64>().ok()? * unit;
    }
    Some(sum)
}

fn words(text: &str) -> Option<f64> {
    let mut sum = 0.0;
    let mut number: Option<f64> = None;
    let mut any = false;
    for word in split(text) {
        if let Some(value) =
            word.parse::<f64>().ok().filter(|_| word.starts_with(|c: char| c.is_ascii_digit() || c == '.'))
        {
            // Two numbers in a row: the first one counted seconds.
            sum += number.replace(value).unwrap_or(0.0);
        } else if let Some(value) = named_number(&word) {
            sum += number.replace(value).unwrap_or(0.0);
        } else if let Some(unit) = unit(&word) {
            // A unit without a number means one of it, but only at the start.
            let count = number.take().or((!any).then_some(1.0))?;
            sum += count * unit;
        } else if !matches!(word.as_str(), "and" | "with" | "plus") {
            return None;
        }
        any = true;
    }
    any.then(|| sum + number.unwrap_or(0.0))
}

/// Words and numbers, also where they are written together.
fn split(text: &str) -> Vec<String> {
    #[derive(PartialEq, Clone, Copy)]
    enum Kind {
        Number,
        Word,
    }
    let mut words: Vec<String> = Vec::new();
    let mut last = None;
    for c in text.chars() {
        let kind = if c.is_ascii_digit() || c == '.' {
            Kind::Number
        } else if c.is_whitespace() || c == ',' {
            last = None;
            continue;
        } else {
            Kind::Word
        };
        match words.last_mut() {
            Some(word) if last == Some(kind) => word.push(c),
            _ => words.push(c.to_string()),
        }
        last = Some(kind);
    }
    words
}

fn unit(word: &str) -> Option<f64> {
    Some(match word {
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => MINUTE,
        "h" | "hr" | "hrs" | "hour" | "hours" => HOUR,
        "d" | "dy" | "day" | "days" => DAY,
        "w" | "wk" | "wks" | "week" | "weeks" => WEEK,
        "mo" | "mos" | "month" | "months" => MONTH,
        "y" | "yr" | "yrs" | "year" | "years" => YEAR,
        _ => return None,
    })
}

fn named_number(word: &str) -> Option<f64> {
    const NAMES: [&str; 20] = [
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
    ];
    let position = NAMES.iter().position(|name| *name == word)?;
    u32::try_from(position).ok().map(|position| f64::from(position + 1))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::parse;

    #[test]
    fn words_numbers_and_clocks() {
        for (text, seconds) in [
            ("1h 30m", 5400.0),
            ("3 hours 20 minutes", 12_000.0),
            ("1.5h", 5400.0),
            ("90", 90.0),
            ("1h30m", 5400.0),
            ("2 hrs and 5 sec", 7205.0),
            ("two days, 1 hour", 176_400.0),
            ("3:41:59", 13_319.0),
            ("10:20", 620.0),
            ("day", 86_400.0),
            ("1 week", 604_800.0),
            ("1 mo", 2_592_000.0),
            ("1 year", 31_557_600.0),
            ("30 Minutes", 1800.0),
            ("4 mins 20 sec", 260.0),
        ] {
            assert_eq!(parse(text), Some(Duration::from_secs_f64(seconds)), "{text}");
        }
    }

    #[test]
    fn every_unit_in_every_spelling() {
        for (unit, seconds) in [
            ("s sec secs second seconds", 1.0),
            ("m min mins minute minutes", 60.0),
            ("h hr hrs hour hours", 3600.0),
            ("d dy day days", 86_400.0),
            ("w wk wks week weeks", 604_800.0),
            ("mo mos month months", 2_592_000.0),
            ("y yr yrs year years", 31_557_600.0),
        ] {
            for spelling in unit.split(' ') {
                for (text, count) in [
                    (format!("2 {spelling}"), 2.0),
                    (format!("2{spelling}"), 2.0),
                    (format!("1.5 {spelling}"), 1.5),
                    (format!("TWO {}", spelling.to_uppercase()), 2.0),
                    (spelling.to_owned(), 1.0),
                    (format!("{spelling} and 1 sec"), 1.0 + 1.0 / seconds),
                ] {
                    let expected = Duration::from_secs_f64(count * seconds);
                    let found = parse(&text).unwrap_or_else(|| panic!("{text}"));
                    assert!(found.abs_diff(expected) < Duration::from_millis(1), "{text}: {found:?}");
                }
            }
        }
    }

    #[test]
    fn clocks_from_the_right() {
        for (text, seconds) in [
            ("0:59", 59.0),
            ("1:00", 60.0),
            ("2:00:00", 7200.0),
            ("1:0:0:0", 86_400.0),
            ("1:0:0:0:0", 2_592_000.0),
            ("1:0:0:0:0:0", 31_557_600.0),
        ] {
            assert_eq!(parse(text), Some(Duration::from_secs_f64(seconds)), "{text}");
        }
        for text in ["0:00", "1:0:0:0:0:0:0", "1:-2", "1:2 min", "1::2"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_joins_parts() {
        for text in ["1h 30m", "1h, 30m", "1h and 30m", "1h with 30m", "1h plus 30m", "1h30m", " 1h\t30m "] {
            assert_eq!(parse(text), Some(Duration::from_secs(5400)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_duration() {
        for text in [
            "",
            "0",
            "0 min",
            "soon",
            "1 parsec",
            "$T",
            "1:x",
            ":",
            "-1h",
            "1h minutes",
            "1..2",
            "9999999 years",
            "and",
            "1 mon",
            "1h or 2h",
            "1e5",
            "\u{661}h",
            "never",
            &"9".repeat(400),
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
