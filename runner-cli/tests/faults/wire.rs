//! What went over the wire: the requests of each job.

use std::collections::BTreeMap;

use http::header::CONTENT_RANGE;
use runner_coordinator::core::{Endpoint, RequestRecord};
use serde_json::Value;

/// Largest piece of a trace that GitLab's runner protocol allows.
const LARGEST_PIECE: u64 = 1024 * 1024;

/// The requests of all jobs so far.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    jobs: BTreeMap<u64, JobWire>,
    pub(crate) counts: BTreeMap<Endpoint, u64>,
}

/// The requests of one job.
#[derive(Debug, Default)]
pub(crate) struct JobWire {
    /// Final updates, in order: what they said.
    pub(crate) finals: Vec<String>,
    pub(crate) patches: u64,
    /// Pieces that begin before the end of an earlier one.
    pub(crate) resent: u64,
    /// So far the trace was sent.
    sent: u64,
    pub(crate) uploads: u64,
    pub(crate) problems: Vec<String>,
}

impl Wire {
    pub(crate) fn take(&mut self, requests: Vec<RequestRecord>) {
        for request in requests {
            let Some(endpoint) = request.endpoint else {
                let problem = format!("no call of the API: {} {}", request.method, request.uri.path());
                self.jobs.entry(0).or_default().problems.push(problem);
                continue;
            };
            *self.counts.entry(endpoint).or_default() += 1;
            let mut path = request.uri.path().split('/').skip_while(|part| *part != "jobs").skip(1);
            let Some(job) = path.next().and_then(|id| id.parse().ok()) else { continue };
            let job = self.jobs.entry(job).or_default();
            match endpoint {
                Endpoint::UpdateJob => job.update(&request),
                Endpoint::PatchTrace => job.patch(&request),
                Endpoint::UploadArtifact => job.uploads += 1,
                _ => {}
            }
        }
    }

    pub(crate) fn job(&self, id: u64) -> Option<&JobWire> {
        self.jobs.get(&id)
    }

    pub(crate) fn jobs(&self) -> impl Iterator<Item = &JobWire> {
        self.jobs.values()
    }
}

impl JobWire {
    fn update(&mut self, request: &RequestRecord) {
        let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
            self.problems.push("an update that is not JSON".to_owned());
            return;
        };
        if body["state"] != "running" && body["state"] != "pending" {
            let said = ["state", "failure_reason", "exit_code", "output"].map(|key| body[key].to_string());
            self.finals.push(said.join(" "));
        }
    }

    fn patch(&mut self, request: &RequestRecord) {
        self.patches += 1;
        let length = request.body.len() as u64;
        let range =
            request.headers.get(CONTENT_RANGE).and_then(|range| range.to_str().ok()).unwrap_or_default();
        let bounds = range.split_once('-').map(|(start, end)| (start.parse::<u64>(), end.parse::<u64>()));
        match bounds {
            Some((Ok(start), Ok(end)))
                if length > 0 && end + 1 - start == length && length <= LARGEST_PIECE =>
            {
                self.resent += u64::from(start < self.sent);
                self.sent = self.sent.max(end + 1);
            }
            // A body that nobody was to read.
            _ if length == 0 => {}
            _ => self.problems.push(format!("a piece of {length} bytes with the range {range:?}")),
        }
    }
}
