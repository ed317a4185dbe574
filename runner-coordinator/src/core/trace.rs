//! A job's log, and `PATCH jobs/:id/trace`.

use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use http::request::Parts;
use http::{StatusCode, header};

use super::Coordinator;
use super::answer::{self, JOB_STATUS, Plain, TRACE_UPDATE_INTERVAL, add_header};
use super::event::EventKind;
use super::ids::JobId;
use super::job_state::JobState;
use super::params::Params;

/// The log of a job as the runner sent it.
#[derive(Clone, Default)]
pub struct Trace {
    bytes: Vec<u8>,
    debug: bool,
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trace({} bytes)", self.bytes.len())
    }
}

impl Trace {
    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Whether nothing has been received.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes received so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes from an offset on; empty when the trace is not longer than that.
    #[must_use]
    pub fn from(&self, offset: u64) -> &[u8] {
        usize::try_from(offset).ok().and_then(|offset| self.bytes.get(offset..)).unwrap_or_default()
    }

    /// The trace as text, invalid sequences replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// Whether the runner marked it as a debug trace (`debug_trace=true` with the first chunk).
    #[must_use]
    pub fn is_debug(&self) -> bool {
        self.debug
    }

    /// `crc32:` and 8 lower-case hex digits.
    #[must_use]
    pub fn checksum(&self) -> String {
        format!("crc32:{:08x}", crc32fast::hash(&self.bytes))
    }

    pub(super) fn cut_last(&mut self, length: u64) {
        let keep = self.len().saturating_sub(length);
        self.bytes.truncate(usize::try_from(keep).unwrap_or_default());
    }
}

impl Coordinator {
    /// Loses bytes at the end of a trace, by a fault. What a job that has ended has sent is kept.
    pub(super) fn forget(&mut self, id: JobId, length: u64, now: SystemTime) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.is_on_runner() && !job.trace.is_empty() {
            job.trace.cut_last(length);
            let length = job.trace.len();
            self.emit(now, EventKind::TraceCut { job: id, length });
        }
    }

    /// Only the start of `Content-Range` counts. Bytes that are already there are not compared: a chunk that ends
    /// exactly where the trace ends is accepted again, as GitLab does it.
    pub(super) fn patch_trace(&mut self, id: JobId, parts: &Parts, body: &Bytes, now: SystemTime) -> Plain {
        let Some(start) = parts.headers.get(header::CONTENT_RANGE).map(|range| range_start(range.as_bytes()))
        else {
            return answer::message(StatusCode::BAD_REQUEST, "400 Missing header Content-Range");
        };
        let debug = Params::query(parts).flag("debug_trace") == Some(true);
        let Some(job) = self.jobs.get_mut(&id) else { return answer::error(StatusCode::FORBIDDEN) };
        job.touched_at = now;
        if job.trace_locked {
            return answer::error(StatusCode::CONFLICT);
        }
        if start == 0 && debug {
            job.trace.debug = true;
        }
        let end = start.saturating_add(body.len() as u64);
        if end > self.options.trace_limit {
            self.finish_job(id, JobState::Failed, Some("trace_size_exceeded"), None, now);
            return answer::error(StatusCode::FORBIDDEN);
        }
        let before = job.trace.len();
        if start == before {
            job.trace.bytes.extend_from_slice(body);
        }
        let length = job.trace.len();
        let range = format!("0-{length}");
        let answer = if length == end {
            let interval =
                if job.watched { self.options.watched_interval } else { self.options.unwatched_interval };
            let answer = add_header(answer::number(StatusCode::ACCEPTED), JOB_STATUS, job.state.as_str());
            add_header(answer, TRACE_UPDATE_INTERVAL, &interval.as_secs().to_string())
        } else {
            answer::error(StatusCode::RANGE_NOT_SATISFIABLE)
        };
        if length > before {
            self.emit(now, EventKind::TraceAppended { job: id, offset: before, length: length - before });
        }
        add_header(answer, "range", &range)
    }
}

/// The number that the header begins with; anything else counts as 0.
fn range_start(range: &[u8]) -> u64 {
    range
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0_u64, |number, digit| number.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
}
