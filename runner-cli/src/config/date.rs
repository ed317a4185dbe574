//! Dates as the file has them: RFC 3339, whole seconds, UTC.

use std::time::SystemTime;

use jiff::Timestamp;
use toml_edit::{Datetime, Value};

/// What the official runner writes for "never" and "unknown".
const NEVER: &str = "0001-01-01T00:00:00Z";

/// A point in time.
pub(super) fn of(time: SystemTime) -> Value {
    let text = Timestamp::try_from(time).map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    parse(text.ok().as_deref())
}

/// A date as a server wrote it; never, when there is none or it is not understood.
pub(super) fn parse(text: Option<&str>) -> Value {
    let understood = text
        .and_then(|text| text.parse::<Timestamp>().ok()?.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into());
    match understood.as_deref().unwrap_or(NEVER).parse::<Datetime>() {
        Ok(date) => Value::from(date),
        Err(_) => Value::from(NEVER),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{of, parse};

    #[test]
    fn dates() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_900);
        assert_eq!(of(time).to_string(), "2023-11-14T22:13:20Z");
        assert_eq!(parse(Some("2030-01-02T03:04:05.678+01:00")).to_string(), "2030-01-02T02:04:05Z");
        assert_eq!(parse(None).to_string(), "0001-01-01T00:00:00Z");
        assert_eq!(parse(Some("soon")).to_string(), "0001-01-01T00:00:00Z");
    }
}
