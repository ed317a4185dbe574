//! Saving what can be saved from a payload that is no usable job.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use crate::secret::{JobToken, SecretText};

/// A payload that was handed out as a job but cannot be one.
///
/// The server believes that this runner has the job now. If an id and a token were found, the job can at least be
/// failed, with a reason, instead of hanging until its time limit.
///
/// ```
/// // The connection broke in the middle.
/// let broken = runner_api::Job::from_json(r#"{"id": 7, "token": "glcbt-x", "steps": [{"na"#).unwrap_err();
/// assert_eq!(broken.id(), Some(7));
/// assert_eq!(broken.token().map(|token| token.expose()), Some("glcbt-x"));
/// assert!(broken.to_string().starts_with("the job's payload cannot be used: it is not JSON"));
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[error("the job's payload cannot be used: {reason}")]
pub struct UnreadableJob {
    reason: String,
    id: Option<u64>,
    token: Option<JobToken>,
    raw: SecretText,
}

impl UnreadableJob {
    /// The job's id, if it could be found.
    #[must_use]
    pub fn id(&self) -> Option<u64> {
        self.id
    }

    /// The job's token, if it could be found.
    #[must_use]
    pub fn token(&self) -> Option<&JobToken> {
        self.token.as_ref()
    }

    /// The text as it was received. It may hold secrets.
    #[must_use]
    pub fn raw(&self) -> &SecretText {
        &self.raw
    }
}

/// Looks for `id` and `token` at the top level of a text that may break off anywhere.
pub(super) fn recover(text: &str, reason: &str) -> UnreadableJob {
    let mut found = Found::default();
    // A number at the very end may be only the beginning of one. What was found before an error counts.
    let certain = text.trim_end_matches(|last: char| last.is_ascii_digit());
    let _ = Seed(&mut found).deserialize(&mut serde_json::Deserializer::from_str(certain));
    UnreadableJob { reason: reason.to_owned(), id: found.id, token: found.token, raw: SecretText::new(text) }
}

#[derive(Default)]
struct Found {
    id: Option<u64>,
    token: Option<JobToken>,
}

struct Seed<'f>(&'f mut Found);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.to_ascii_lowercase().as_str() {
                "id" => {
                    let value: Value = map.next_value()?;
                    let text = value.as_str().map(|text| text.trim().parse().ok());
                    self.0.id = value.as_u64().or(text.flatten()).or(self.0.id);
                }
                "token" => {
                    let value: Value = map.next_value()?;
                    let token = value.as_str().filter(|text| !text.is_empty()).map(JobToken::new);
                    self.0.token = token.or(self.0.token.take());
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{JobToken, recover};

    #[test]
    fn recovers_what_is_there() {
        for (text, id, token) in [
            ("", None, None),
            ("<html>", None, None),
            ("[1]", None, None),
            (r#"{"id": 7"#, None, None),
            (r#"{"id": 7, "#, Some(7), None),
            (r#"{"id": "7", "token": "t", "x": [[{"#, Some(7), Some("t")),
            (r#"{"id": {}, "token": []}"#, None, None),
            (r#"{"token": "t", "id": -1, "x": 1e999}"#, None, Some("t")),
            (r#"{"token": "t", "steps": {"id": 9}}"#, None, Some("t")),
        ] {
            let job = recover(text, "because");
            assert_eq!(job.id(), id, "{text}");
            assert_eq!(job.token().map(JobToken::expose), token, "{text}");
        }
    }
}
