//! `PUT jobs/:id`: acknowledgement, keep-alive, final state.

use std::time::{Duration, SystemTime};

use http::StatusCode;

use super::Coordinator;
use super::answer::{self, JOB_STATUS, Plain, TRACE_UPDATE_INTERVAL, add_header};
use super::ids::JobId;
use super::job::FinalUpdate;
use super::job_state::{JobState, stored_failure_reason};
use super::params::Params;

/// How long GitLab makes a runner wait for its trace to be stored before it applies the final state regardless.
const STORE_LIMIT: Duration = Duration::from_secs(5 * 60);

impl Coordinator {
    pub(super) fn update_job(&mut self, id: JobId, params: &Params, now: SystemTime) -> Plain {
        let state = params.text("state").unwrap_or_default();
        let waiting = self.jobs.get(&id).is_some_and(super::job::JobRecord::waits_for_acknowledgement);
        let (status, interval) = match (waiting, state) {
            (true, "pending") => (self.extend_acknowledgement(id, now), None),
            (true, "running") => {
                self.start_job(id, now);
                (StatusCode::OK, None)
            }
            (false, "running") => (StatusCode::OK, None),
            (false, "success" | "failed") => self.finish_by_runner(id, state, params, now),
            _ => (StatusCode::BAD_REQUEST, None),
        };
        let mut answer = answer::number(status);
        if let Some(job) = self.jobs.get_mut(&id) {
            job.touched_at = now;
            answer = add_header(answer, JOB_STATUS, job.state.as_str());
        }
        match interval {
            Some(seconds) => add_header(answer, TRACE_UPDATE_INTERVAL, &seconds.to_string()),
            None => answer,
        }
    }

    fn extend_acknowledgement(&mut self, id: JobId, now: SystemTime) -> StatusCode {
        let until = now.checked_add(self.options.acknowledge_within);
        match self.jobs.get_mut(&id) {
            Some(job) => {
                job.acknowledge_until = until;
                StatusCode::OK
            }
            None => StatusCode::BAD_REQUEST,
        }
    }

    /// Applies a final state, or asks for patience with the seconds until the next try.
    fn finish_by_runner(
        &mut self,
        id: JobId,
        state: &str,
        params: &Params,
        now: SystemTime,
    ) -> (StatusCode, Option<u64>) {
        let store_time = self.options.trace_store_time;
        let Some(job) = self.jobs.get_mut(&id) else { return (StatusCode::BAD_REQUEST, None) };
        let output = params.object("output");
        let checksum = output.text("checksum").or_else(|| params.text("checksum")).map(str::to_owned);
        if checksum.is_some() {
            let first = *job.final_since.get_or_insert(now);
            let waited = now.duration_since(first).unwrap_or_default();
            if waited < store_time && waited <= STORE_LIMIT {
                return (StatusCode::ACCEPTED, Some(backoff(waited)));
            }
        }
        let failure_reason = params.text("failure_reason").map(str::to_owned);
        let exit_code = params.int("exit_code");
        job.final_update = Some(FinalUpdate {
            state: state.to_owned(),
            failure_reason: failure_reason.clone(),
            exit_code,
            checksum,
            bytesize: output.int("bytesize").and_then(|size| u64::try_from(size).ok()),
            trace_checksum: job.trace.checksum(),
            trace_bytesize: job.trace.len(),
        });
        if state == "success" {
            self.finish_job(id, JobState::Success, None, None, now);
        } else {
            let reason = failure_reason.as_deref().map_or("unknown_failure", stored_failure_reason);
            self.finish_job(id, JobState::Failed, Some(reason), exit_code, now);
        }
        (StatusCode::OK, None)
    }
}

/// GitLab's pause before the next final update, by the time since the first one.
fn backoff(waited: Duration) -> u64 {
    match waited.as_secs() {
        0..4 => 1,
        4..8 => 2,
        8..16 => 4,
        16..32 => 8,
        32..64 => 16,
        64..128 => 32,
        _ => 64,
    }
}
