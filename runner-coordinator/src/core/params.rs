//! Parameters of a request: its JSON body and its query, read as leniently as GitLab reads them.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use serde_json::{Map, Value};

use super::answer::{self, Plain};

/// Body and query as one map; the body wins.
#[derive(Debug, Clone, Default)]
pub(super) struct Params(Map<String, Value>);

impl Params {
    /// Reads `body` as a JSON object. An empty body and the literal `null` count as no parameters.
    pub(super) fn read(parts: &Parts, body: &Bytes) -> Result<Self, Plain> {
        let mut map = Self::query(parts).0;
        if !body.is_empty() {
            match serde_json::from_slice(body) {
                Ok(Value::Object(object)) => map.extend(object),
                Ok(Value::Null) => {}
                Ok(_) | Err(_) => {
                    return Err(answer::message(
                        StatusCode::BAD_REQUEST,
                        "400 Bad Request - body is not a JSON object",
                    ));
                }
            }
        }
        Ok(Self(map))
    }

    /// The query alone.
    pub(super) fn query(parts: &Parts) -> Self {
        let query = parts.uri.query().unwrap_or_default();
        Self(
            url::form_urlencoded::parse(query.as_bytes())
                .map(|(key, value)| (key.into_owned(), Value::String(value.into_owned())))
                .collect(),
        )
    }

    /// A text that is present and not empty.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        match self.0.get(key)? {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    pub(super) fn int(&self, key: &str) -> Option<i64> {
        match self.0.get(key)? {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// A nested object; empty when the key is absent or something else.
    pub(super) fn object(&self, key: &str) -> Self {
        Self(self.0.get(key).and_then(Value::as_object).cloned().unwrap_or_default())
    }

    /// All texts.
    pub(super) fn texts(&self) -> BTreeMap<String, String> {
        let texts = self.0.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        texts.collect()
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub(super) fn value(&self) -> Value {
        Value::Object(self.0.clone())
    }

    /// Names of the keys whose value is `true`.
    pub(super) fn true_keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, value)| value.as_bool() == Some(true)).map(|(key, _)| key.as_str())
    }
}

/// The token of a request: the parameter first, then the header, as GitLab reads it.
pub(super) fn token<'a>(parts: &'a Parts, params: &'a Params, header: &str) -> Option<&'a str> {
    params.text("token").or_else(|| {
        parts.headers.get(header).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty())
    })
}

pub(super) const RUNNER_TOKEN: &str = "runner-token";
pub(super) const JOB_TOKEN: &str = "job-token";
pub(super) const PRIVATE_TOKEN: &str = "private-token";
