//! An answer's head, and reading its body as JSON or as an error text.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::error::{CallContext, Error};
use crate::transport::{Body, TransportError, TransportErrorKind};

/// The largest job that is read: real ones are far below.
const JOB_LIMIT: usize = 64 * 1024 * 1024;

/// The largest of the other JSON answers that is read.
const JSON_LIMIT: usize = 1024 * 1024;

/// How much of an error's body is read for its message.
const ERROR_LIMIT: usize = 64 * 1024;

/// How much of a message is kept, in characters.
const MESSAGE_LIMIT: usize = 1000;

/// How long an answer that nobody needs may take to end before its connection is given up.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// The answer of a call, its body still to be read.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The address that answered, behind all redirects.
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
    pub(super) context: CallContext,
    /// The server's id of the call if it told one, else ours.
    pub(super) request_id: String,
    pub(super) retry_after: Option<Duration>,
}

impl Answer {
    /// The next piece of the body.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        self.body.chunk().await.map_err(|source| Error::from_transport(self.context.clone(), source))
    }

    /// Everything of a job that arrives, and why the rest did not.
    pub(super) async fn job_bytes(self) -> (BytesMut, Option<Error>) {
        self.bytes_that_arrive(JOB_LIMIT).await
    }

    async fn bytes_that_arrive(self, limit: usize) -> (BytesMut, Option<Error>) {
        let Self { mut body, context, .. } = self;
        let mut bytes = BytesMut::new();
        loop {
            match body.chunk().await {
                Ok(Some(chunk)) if chunk.len() <= limit.saturating_sub(bytes.len()) => {
                    bytes.extend_from_slice(&chunk);
                }
                Ok(Some(_)) => {
                    let message = format!("the body has more than {limit} bytes");
                    let error = TransportError::new(TransportErrorKind::ResponseBody, message);
                    return (bytes, Some(Error::from_transport(context, error)));
                }
                Ok(None) => return (bytes, None),
                Err(error) => return (bytes, Some(Error::from_transport(context, error))),
            }
        }
    }

    /// The body of an expected answer, decoded.
    pub(super) async fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        let (status, context) = (self.status, self.context.clone());
        if !self.is_json() {
            let problem = format!("its content is {} instead of JSON", self.content_type_text());
            self.drain().await;
            return Err(Error::content(context, status, problem, None));
        }
        let bytes = match self.bytes_that_arrive(JSON_LIMIT).await {
            (bytes, None) => bytes,
            (_, Some(error)) => return Err(error),
        };
        serde_json::from_slice(&bytes).map_err(|source| {
            Error::content(context, status, "its JSON cannot be understood", Some(Box::new(source)))
        })
    }

    /// An answer that is not the expected one, with what the server says about it.
    pub(super) async fn into_error(self) -> Error {
        let Self { status, headers, body, context, retry_after, .. } = self;
        let media_type = media_type(&headers);
        let text = match tokio::time::timeout(DRAIN_TIME, body.collect(ERROR_LIMIT)).await {
            Ok(Ok(bytes)) => bytes,
            _ => Bytes::new(),
        };
        let message = match media_type.as_deref() {
            Some("application/json") => json_message(&text),
            Some("application/xml" | "text/xml") => xml_message(&text),
            _ => None,
        };
        Error::from_status(context, status, message.map(|message| presentable(&message)), retry_after)
    }

    /// Reads what is left, so that the connection can be used again.
    pub(super) async fn drain(self) {
        drain(self.body).await;
    }

    /// A header as text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
    }

    pub(super) fn is_json(&self) -> bool {
        media_type(&self.headers).as_deref() == Some("application/json")
    }

    pub(super) fn content_type_text(&self) -> String {
        media_type(&self.headers).unwrap_or_else(|| "of unknown type".to_owned())
    }
}

/// Reads an unneeded body to its end, within limits.
pub(super) async fn drain(body: Body) {
    let _ = tokio::time::timeout(DRAIN_TIME, body.collect(ERROR_LIMIT)).await;
}

/// `Content-Type` without parameters, in lower case.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let media_type = value.split(';').next()?.trim().to_ascii_lowercase();
    media_type.contains('/').then_some(media_type)
}

/// A message of the server as one line of limited length.
fn presentable(message: &str) -> String {
    let one_line = |char: char| if char.is_control() { ' ' } else { char };
    let mut shown: String = message.trim().chars().map(one_line).take(MESSAGE_LIMIT).collect();
    if message.trim().chars().nth(MESSAGE_LIMIT).is_some() {
        shown.push('…');
    }
    shown
}

/// `message` of an error: a text, or lists of texts per field. Some errors have `error` instead.
fn json_message(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct ErrorBody {
        message: Option<serde_json::Value>,
        error: Option<serde_json::Value>,
    }

    let body: ErrorBody = serde_json::from_slice(body).ok()?;
    let message = body.message.or(body.error)?;
    let text = match message {
        serde_json::Value::String(text) => text,
        serde_json::Value::Object(fields) => {
            let fields: BTreeMap<String, serde_json::Value> = fields.into_iter().collect();
            let line =
                |(field, problems): (String, serde_json::Value)| format!("{field}: {}", joined(&problems));
            fields.into_iter().map(line).collect::<Vec<_>>().join(", ")
        }
        other => joined(&other),
    };
    (!text.is_empty()).then_some(text)
}

fn joined(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(items) => items.iter().map(joined).collect::<Vec<_>>().join("; "),
        other => other.to_string(),
    }
}

/// `Code` and `Message` of an object storage's error.
fn xml_message(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        let (content, _) = rest.split_once(&format!("</{name}>"))?;
        Some(unescaped(content.trim()))
    };
    match (element("Code"), element("Message")) {
        (Some(code), Some(message)) => Some(format!("{code}: {message}")),
        (code, message) => code.or(message),
    }
}

/// The five entities that XML itself knows.
fn unescaped(text: &str) -> String {
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    entities.iter().fold(text.to_owned(), |text, (entity, char)| text.replace(entity, char))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_json_errors() {
        for (body, expected) in [
            (r#"{"message": "403 Forbidden - paused"}"#, Some("403 Forbidden - paused")),
            (r#"{"message": {"tags": ["a", "b"], "name": ["c"]}}"#, Some("name: c, tags: a; b")),
            (r#"{"error": "token is missing"}"#, Some("token is missing")),
            (r#"{"message": null, "error": "x"}"#, Some("x")),
            (r#"{"message": ["a", 3]}"#, Some("a; 3")),
            (r#"{"message": ""}"#, None),
            ("{}", None),
            ("<html>", None),
        ] {
            assert_eq!(json_message(body.as_bytes()).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn messages_of_xml_errors() {
        let body = b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code>\n<Message>Request expired</Message></Error>";
        assert_eq!(xml_message(body).as_deref(), Some("AccessDenied: Request expired"));
        assert_eq!(xml_message(b"<Error><Code>X</Code></Error>").as_deref(), Some("X"));
        let escaped = b"<Error><Message>&lt;key&gt; &amp;amp; &quot;id&quot;</Message></Error>";
        assert_eq!(xml_message(escaped).as_deref(), Some("<key> &amp; \"id\""));
        assert_eq!(xml_message(b"<Error>"), None);
    }

    #[test]
    fn messages_are_one_short_line() {
        assert_eq!(presentable(" a\r\nb\x1b[31m\n"), "a  b [31m");
        let long = presentable(&"ä".repeat(1001));
        assert_eq!((long.chars().count(), long.ends_with("ä…")), (1001, true));
        assert_eq!(presentable(&"ä".repeat(1000)).chars().count(), 1000);
    }

    #[test]
    fn media_types() {
        for (value, expected) in [
            ("application/json", Some("application/json")),
            ("Application/JSON; charset=utf-8", Some("application/json")),
            ("json", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, value.parse().unwrap())]);
            assert_eq!(media_type(&headers).as_deref(), expected, "{value}");
        }
    }
}
