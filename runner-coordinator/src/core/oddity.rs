//! What a request does that GitLab tolerates but no runner should do.
//!
//! The coordinator is as lenient as GitLab. A test that wants to be stricter looks at
//! [`Coordinator::oddities`](super::Coordinator::oddities).

use std::time::SystemTime;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{self, HeaderName};
use http::request::Parts;
use serde_json::Value;

use super::endpoint::Endpoint;
use super::ids::JobId;

/// GitLab's runners send the trace in pieces of at most this size.
const PATCH_LIMIT: usize = 1024 * 1024;

/// Something odd about a request that was nevertheless processed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Oddity {
    /// When the request came.
    pub at: SystemTime,
    /// What it was.
    pub endpoint: Endpoint,
    /// The job in its path.
    pub job: Option<JobId>,
    /// What is odd, in words.
    pub what: &'static str,
}

/// Looks at one request. `body` is empty for uploads that are stored elsewhere.
pub(super) fn find(endpoint: Endpoint, parts: &Parts, body: &Bytes) -> Vec<&'static str> {
    let mut odd = Vec::new();
    let mut check = |good: bool, what| {
        if !good {
            odd.push(what);
        }
    };
    let headers = &parts.headers;
    if endpoint != Endpoint::Storage {
        check(text(headers, header::USER_AGENT).is_some(), "no User-Agent");
    }
    if let Some(id) = text(headers, HeaderName::from_static("x-request-id")) {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        check(id.len() == 32 && id.bytes().all(hex), "X-Request-Id is not 32 lower-case hex digits");
    }
    match endpoint {
        Endpoint::PatchTrace => {
            check(!body.is_empty(), "an empty piece of trace");
            check(body.len() <= PATCH_LIMIT, "a piece of trace above 1 MiB");
            check(content_type(headers) == "text/plain", "a trace that is not text/plain");
            let range = text(headers, header::CONTENT_RANGE).unwrap_or_default();
            check(range_fits(range, body.len()), "Content-Range does not fit the piece of trace");
            check(has_token(headers, "job-token"), "no JOB-TOKEN header");
        }
        Endpoint::UpdateJob => {
            check(content_type(headers) == "application/json", "a body that is not application/json");
            let body: Value = serde_json::from_slice(body).unwrap_or_default();
            check(body.get("output").is_some_and(Value::is_object), "a job update without output");
            check(body.get("exit_code") != Some(&Value::from(0)), "exit code 0 is never sent");
            let failed = body.get("state").and_then(Value::as_str) == Some("failed");
            let reason = body.get("failure_reason").is_some_and(|reason| !reason.is_null());
            check(failed || !reason, "a failure reason without failure");
        }
        Endpoint::UploadArtifact => {
            check(
                content_type(headers) == "multipart/form-data",
                "an upload that is not multipart/form-data",
            );
            check(has_token(headers, "job-token"), "no JOB-TOKEN header");
        }
        Endpoint::DownloadArtifact => check(has_token(headers, "job-token"), "no JOB-TOKEN header"),
        Endpoint::Storage => {
            let tokens = ["job-token", "private-token", "runner-token"];
            check(!tokens.iter().any(|name| headers.contains_key(*name)), "a token for the object storage");
        }
        Endpoint::RequestJob | Endpoint::Register | Endpoint::Verify => {
            check(content_type(headers) == "application/json", "a body that is not application/json");
        }
        _ => {}
    }
    odd
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty())
}

fn has_token(headers: &HeaderMap, name: &'static str) -> bool {
    text(headers, HeaderName::from_static(name)).is_some()
}

/// The media type without its parameters.
fn content_type(headers: &HeaderMap) -> &str {
    text(headers, header::CONTENT_TYPE).unwrap_or_default().split(';').next().unwrap_or_default().trim()
}

/// `<start>-<end>` with the end included.
fn range_fits(range: &str, length: usize) -> bool {
    let Some((start, end)) = range.split_once('-') else { return false };
    match (start.parse::<u64>(), end.parse::<u64>()) {
        (Ok(start), Ok(end)) => start.checked_add(length as u64) == end.checked_add(1),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn odd(endpoint: Endpoint, headers: &[(&str, &str)], body: &'static str) -> Vec<&'static str> {
        let mut request = Request::builder().header("User-Agent", "gitlab-runner 19.4.0");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        find(endpoint, &request.body(()).unwrap().into_parts().0, &Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn what_a_runner_sends_is_not_odd() {
        let id = ("X-Request-ID", "0123456789abcdef0123456789abcdef");
        let json = ("Content-Type", "application/json");
        let token = ("JOB-TOKEN", "t");
        let trace = [id, token, ("Content-Type", "text/plain"), ("Content-Range", "5-7")];
        assert_eq!(odd(Endpoint::PatchTrace, &trace, "abc"), [] as [&str; 0]);
        let update =
            r#"{"state": "failed", "output": {}, "failure_reason": "script_failure", "exit_code": 1}"#;
        assert_eq!(odd(Endpoint::UpdateJob, &[id, json], update), [] as [&str; 0]);
        let form = ("Content-Type", "multipart/form-data; boundary=x");
        assert_eq!(odd(Endpoint::UploadArtifact, &[id, form, token], ""), [] as [&str; 0]);
        assert_eq!(odd(Endpoint::DownloadArtifact, &[token], ""), [] as [&str; 0]);
        assert_eq!(odd(Endpoint::RequestJob, &[id, json], "{}"), [] as [&str; 0]);
        assert_eq!(odd(Endpoint::Storage, &[], ""), [] as [&str; 0]);
    }

    #[test]
    fn what_no_runner_should_send_is() {
        let trace = [("Content-Range", "5-8"), ("X-Request-Id", "0123456789ABCDEF0123456789ABCDEF")];
        assert_eq!(
            odd(Endpoint::PatchTrace, &trace, "abc"),
            [
                "X-Request-Id is not 32 lower-case hex digits",
                "a trace that is not text/plain",
                "Content-Range does not fit the piece of trace",
                "no JOB-TOKEN header",
            ]
        );
        let update = r#"{"state": "success", "failure_reason": "x", "exit_code": 0}"#;
        assert_eq!(
            odd(Endpoint::UpdateJob, &[("Content-Type", "application/json; charset=utf-8")], update),
            ["a job update without output", "exit code 0 is never sent", "a failure reason without failure"]
        );
        assert_eq!(odd(Endpoint::Storage, &[("JOB-TOKEN", "t")], ""), ["a token for the object storage"]);
    }
}
