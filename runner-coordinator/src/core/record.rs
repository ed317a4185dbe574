//! Requests as they arrived, and what faults did to them.

use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};

use super::endpoint::Endpoint;
use super::fault::Effect;
use super::ids::JobId;

/// A request as it arrived, kept when [`Options::record_requests`](super::Options::record_requests) is set.
#[derive(Clone)]
#[non_exhaustive]
pub struct RequestRecord {
    /// When it came.
    pub at: SystemTime,
    /// What it was; `None` for a path or method that the API does not have.
    pub endpoint: Option<Endpoint>,
    /// Method.
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// Headers. They hold tokens.
    pub headers: HeaderMap,
    /// The body; empty for uploads that were streamed to a file.
    pub body: Bytes,
}

impl fmt::Debug for RequestRecord {
    /// Leaves out headers and body: they hold tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestRecord")
            .field("at", &self.at)
            .field("endpoint", &self.endpoint)
            .field("method", &self.method)
            .field("path", &self.uri.path())
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Something that a fault did to a request, kept when [`Options::record_faults`](super::Options::record_faults) is set.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FaultRecord {
    /// When the request came.
    pub at: SystemTime,
    /// What it was.
    pub endpoint: Endpoint,
    /// The job that it concerns; none for a job request.
    pub job: Option<JobId>,
    /// What happened to it.
    pub effect: Effect,
}
