//! Durations as Go programs write them: `1h0m0s`, `1.5h`, `300ms`.

use std::time::Duration;

/// Reads a Go duration. Negative ones are refused: no flag has a use for them.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let invalid = || format!("`{text}` is no duration such as 1h30m, 10m or 1s");
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(invalid)?;
        let (number, after) = rest.split_at(number_end);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let scale = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return Err(invalid()),
        };
        seconds += number.parse::<f64>().map_err(|_| invalid())? * scale;
        rest = after;
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| invalid())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn durations() {
        for (text, millis) in [
            ("1h0m0s", 3_600_000),
            ("10m", 600_000),
            ("1.5h", 5_400_000),
            ("300ms", 300),
            ("0", 0),
            ("2s", 2000),
            (".5s", 500),
        ] {
            assert_eq!(parse(text).unwrap().as_millis(), millis, "{text}");
        }
        for text in ["", "1", "h", "1x", "-1s", "1.2.3s", "1 h", "99999999999999999999h"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
