//! `features`: what the server wants and understands.

use super::lenient::{Fields, Object};
use crate::failure::FailureReason;

/// What the server wants of this job's log, and which words it understands.
///
/// ```
/// use runner_api::FailureReason;
///
/// let job = runner_api::Job::from_json(
///     r#"{"id": 1, "token": "t", "features": {"trace_sections": true, "failure_reasons": ["script_failure"]}}"#,
/// )?;
/// assert!(job.features.trace_sections);
/// assert_eq!(job.features.failure_reasons, [FailureReason::ScriptFailure]);
/// # Ok::<(), runner_api::UnreadableJob>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobFeatures {
    /// Whether the log is divided into sections.
    pub trace_sections: bool,
    /// Prefixes of tokens to mask in the log.
    pub token_mask_prefixes: Vec<String>,
    /// The failure reasons the server understands; see [`FailureReason::for_server`].
    pub failure_reasons: Vec<FailureReason>,
    /// Where to report a trace span for the job.
    pub tracing: Option<TracingInfo>,
}

impl Object for JobFeatures {
    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self {
            trace_sections: fields.take("trace_sections"),
            token_mask_prefixes: fields.take("token_mask_prefixes"),
            failure_reasons: fields.take("failure_reasons"),
            tracing: fields.take_optional("tracing"),
        }
    }
}

/// Where to report a trace span for the job.
///
/// ```
/// assert_eq!(runner_api::payload::TracingInfo::default().trace_id, "");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TracingInfo {
    /// The trace, in hexadecimal.
    pub trace_id: String,
    /// The parent span, in hexadecimal.
    pub span_parent_id: String,
    /// OpenTelemetry endpoints.
    pub otel_endpoints: Vec<OtelEndpoint>,
}

impl Object for TracingInfo {
    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self {
            trace_id: fields.take("trace_id"),
            span_parent_id: fields.take("span_parent_id"),
            otel_endpoints: fields.take("otel_endpoints"),
        }
    }
}

/// One OpenTelemetry endpoint.
///
/// ```
/// assert!(runner_api::payload::OtelEndpoint::default().auth.is_none());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OtelEndpoint {
    /// `http`, `https`, `grpc` or `grpcs` address.
    pub url: String,
    /// How to authenticate.
    pub auth: Option<OtelAuth>,
}

impl Object for OtelEndpoint {
    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self { url: fields.take("url"), auth: fields.take_optional("auth") }
    }
}

/// How to authenticate at an OpenTelemetry endpoint.
///
/// ```
/// assert_eq!(runner_api::payload::OtelAuth::default().kind, "");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OtelAuth {
    /// The method, such as `http_bearer_gcp_oidc`.
    pub kind: String,
    /// The audience of a `http_bearer_gcp_oidc` token.
    pub gcp_oidc_audience: String,
}

impl Object for OtelAuth {
    fn read(fields: &mut Fields<'_, '_>) -> Self {
        let gcp: GcpOidc = fields.take("http_bearer_gcp_oidc");
        Self { kind: fields.take("type"), gcp_oidc_audience: gcp.audience }
    }
}

#[derive(Default)]
struct GcpOidc {
    audience: String,
}

impl Object for GcpOidc {
    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self { audience: fields.take("audience") }
    }
}
