//! What the core answers, and how the shell is to put it on the wire.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::endpoint::Route;
use super::fault::Plan;
use super::ids::RunnerId;

/// Result of handing a request to the [`Coordinator`](super::Coordinator).
#[derive(Debug)]
pub enum Reply {
    /// Send this.
    Ready(Box<Answer>),
    /// Nothing yet: ask again with [`Coordinator::resume`](super::Coordinator::resume) when
    /// [`Coordinator::queue_version`](super::Coordinator::queue_version) changed or when [`Hold::until`] has come.
    Hold(Hold),
}

/// An answer, with the faults that concern its way to the client.
#[derive(Debug)]
#[non_exhaustive]
pub struct Answer {
    /// Status, headers and body.
    pub response: Response<Payload>,
    /// How long the answer is held back after the request was processed.
    pub delay: Duration,
    /// What becomes of the connection while the answer is sent.
    pub cut: Option<Cut>,
}

/// Body of an [`Answer`].
#[derive(Clone, PartialEq, Eq)]
pub enum Payload {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Part of a file that the shell stored earlier.
    File {
        /// The file.
        path: PathBuf,
        /// The bytes to send.
        range: Range<u64>,
    },
}

impl fmt::Debug for Payload {
    /// Leaves out the bytes: they may hold tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::File { path, range } => write!(f, "File({}, {range:?})", path.display()),
        }
    }
}

impl Payload {
    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { range, .. } => range.end.saturating_sub(range.start),
        }
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How a connection ends, or does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cut {
    /// Before the first byte of the answer.
    NoAnswer,
    /// After that many bytes of the answer's body.
    Body(u64),
    /// It does not break, but not a byte of an answer ever comes.
    Stall,
    /// It does not break, but after that many bytes of the answer's body nothing more comes.
    StallBody(u64),
    /// There is no connection: nothing listens.
    Refused,
}

/// A request that waits: for work, or because a fault delays it.
#[derive(Debug)]
pub struct Hold {
    pub(super) until: SystemTime,
    pub(super) plan: Box<Plan>,
    pub(super) held: Held,
}

/// What a [`Hold`] waits with.
pub(super) enum Held {
    /// A job request that waits for work.
    Poll { runner: RunnerId, poll: super::request_job::Poll },
    /// A request that is processed later.
    Delayed { route: Route, parts: Box<Parts>, body: Bytes },
}

impl fmt::Debug for Held {
    /// Leaves out the request: it holds tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Poll { runner, .. } => write!(f, "Poll({runner})"),
            Self::Delayed { route, .. } => write!(f, "Delayed({})", route.endpoint),
        }
    }
}

impl Hold {
    /// When the request is answered even though nothing happened.
    #[must_use]
    pub fn until(&self) -> SystemTime {
        self.until
    }

    /// The runner that waits for work; none for a request that a fault delays.
    #[must_use]
    pub fn runner(&self) -> Option<RunnerId> {
        match &self.held {
            Held::Poll { runner, .. } => Some(*runner),
            Held::Delayed { .. } => None,
        }
    }
}

impl Reply {
    /// The answer, when there is one already. For transports and tests that do not hold requests.
    #[must_use]
    pub fn ready(self) -> Option<Answer> {
        match self {
            Self::Ready(answer) => Some(*answer),
            Self::Hold(_) => None,
        }
    }
}

/// Answer without faults; they are added at the end of each call.
pub(super) type Plain = Box<Response<Payload>>;

/// `{"message": …}` as GitLab words it: `403 Forbidden`.
pub(super) fn error(status: StatusCode) -> Plain {
    message(status, &status_line(status))
}

/// `{"message": "403 Forbidden - reason"}`.
pub(super) fn error_because(status: StatusCode, reason: &str) -> Plain {
    message(status, &format!("{} - {reason}", status_line(status)))
}

/// `{"message": "…"}`.
pub(super) fn message(status: StatusCode, text: &str) -> Plain {
    json(status, &json!({ "message": text }))
}

/// `{"message": {"field": ["problem"]}}`, the shape of validation errors.
pub(super) fn invalid_fields(problems: &BTreeMap<&'static str, Vec<String>>) -> Plain {
    json(StatusCode::BAD_REQUEST, &json!({ "message": problems }))
}

/// `{"error": "…"}`, the shape of parameter errors.
pub(super) fn bad_parameter(text: &str) -> Plain {
    json(StatusCode::BAD_REQUEST, &json!({ "error": text }))
}

pub(super) fn json(status: StatusCode, value: &Value) -> Plain {
    let body = Bytes::from(value.to_string());
    with_type(status, "application/json", body)
}

/// The status number as text, the body of job updates and uploads.
pub(super) fn number(status: StatusCode) -> Plain {
    with_type(status, "text/plain", Bytes::copy_from_slice(status.as_str().as_bytes()))
}

pub(super) fn empty(status: StatusCode) -> Plain {
    with_body(status, Bytes::new())
}

pub(super) fn with_type(status: StatusCode, content_type: &'static str, body: Bytes) -> Plain {
    let mut response = with_body(status, body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn with_body(status: StatusCode, body: Bytes) -> Plain {
    let mut response = Box::new(Response::new(Payload::Bytes(body)));
    *response.status_mut() = status;
    response
}

/// A time as headers have it: `Tue, 14 Nov 2023 22:13:27 GMT`.
pub(super) fn http_date(at: SystemTime) -> String {
    timestamp(at).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// A time as GitLab writes it in JSON: `2026-01-02T03:04:05.678Z`.
pub(super) fn json_time(at: SystemTime) -> String {
    timestamp(at).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// Times beyond the year 9999 become the epoch.
fn timestamp(at: SystemTime) -> jiff::Timestamp {
    jiff::Timestamp::try_from(at).unwrap_or_default()
}

/// Adds a header; a value that no header can hold is left out.
pub(super) fn add_header(mut response: Plain, name: &'static str, value: &str) -> Plain {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    response
}

pub(super) const LAST_UPDATE: &str = "x-gitlab-last-update";
pub(super) const JOB_STATUS: &str = "job-status";
pub(super) const TRACE_UPDATE_INTERVAL: &str = "x-gitlab-trace-update-interval";
pub(super) const BUILDS_POLLING: &str = "gitlab-ci-builds-polling";

fn status_line(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_str()),
        None => status.as_str().to_owned(),
    }
}
