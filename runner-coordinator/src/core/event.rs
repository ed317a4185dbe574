//! What happened, in order.

use std::collections::{BTreeMap, VecDeque};
use std::time::SystemTime;

use super::ids::{JobId, RunnerId};
use super::job_state::JobState;

/// Something that happened at the coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When it happened, by the time given to the call that caused it.
    pub at: SystemTime,
    /// What happened.
    pub kind: EventKind,
}

/// What an [`Event`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// A runner was registered with a registration token.
    RunnerRegistered {
        /// The new runner.
        runner: RunnerId,
    },
    /// A runner was deleted by itself (`DELETE runners`).
    RunnerUnregistered {
        /// The runner, now unknown.
        runner: RunnerId,
    },
    /// A runner manager was seen for the first time.
    ManagerCreated {
        /// Its runner.
        runner: RunnerId,
        /// Its system id; `<legacy>` when the client sent none.
        system_id: String,
    },
    /// A runner manager was deleted by itself (`DELETE runners/managers`).
    ManagerDeleted {
        /// Its runner.
        runner: RunnerId,
        /// Its system id.
        system_id: String,
    },
    /// A job was handed to a runner. With a two-phase commit it still waits for its acknowledgement.
    JobAssigned {
        /// The job.
        job: JobId,
        /// The runner that asked.
        runner: RunnerId,
    },
    /// A job is running: acknowledged, or handed to a runner without two-phase commit.
    JobStarted {
        /// The job.
        job: JobId,
    },
    /// Bytes were added to a job's trace.
    TraceAppended {
        /// The job.
        job: JobId,
        /// Where the new bytes begin.
        offset: u64,
        /// How many bytes were added, at least 1.
        length: u64,
    },
    /// The end of a job's trace was lost on purpose, by a fault.
    TraceCut {
        /// The job.
        job: JobId,
        /// Length of the trace now.
        length: u64,
    },
    /// An artifact was stored.
    ArtifactStored {
        /// The job.
        job: JobId,
        /// `artifact_type`: `archive`, `junit`, `dotenv`, …
        artifact_type: String,
        /// Name that the client gave the file.
        filename: String,
        /// Size in bytes.
        size: u64,
    },
    /// A running job was canceled and its runner may still run `after_script`.
    JobCanceling {
        /// The job.
        job: JobId,
    },
    /// A job reached a final state.
    JobFinished {
        /// The job.
        job: JobId,
        /// [`JobState::Success`], [`JobState::Failed`] or [`JobState::Canceled`].
        state: JobState,
        /// Failure reason as GitLab stores it.
        failure_reason: Option<String>,
        /// Exit code that the runner reported.
        exit_code: Option<i64>,
    },
}

/// Events that wait to be read, oldest first.
///
/// Events are small: an [`EventKind::TraceAppended`] names a range of the trace and never carries its bytes. Waiting
/// ranges of one job that follow each other merge, so what waits is bounded by the number of jobs and artifacts,
/// however much the jobs print and however slowly the queue is read.
#[derive(Debug, Default)]
pub struct EventQueue {
    waiting: VecDeque<Event>,
    /// How many events have left the queue: position 0 of `waiting` is event number `taken`.
    taken: u64,
    /// The last waiting [`EventKind::TraceAppended`] of each job, by event number.
    open: BTreeMap<JobId, u64>,
}

impl EventQueue {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an event, or merges it into a waiting one.
    pub fn push(&mut self, event: Event) {
        match event.kind {
            EventKind::TraceAppended { job, offset, length } => {
                if !self.merge(job, offset, length) {
                    self.open.insert(job, self.taken + self.waiting.len() as u64);
                    self.waiting.push_back(event);
                }
            }
            EventKind::TraceCut { job, .. } => {
                self.open.remove(&job);
                self.waiting.push_back(event);
            }
            _ => self.waiting.push_back(event),
        }
    }

    /// Takes the oldest event.
    pub fn pop(&mut self) -> Option<Event> {
        let event = self.waiting.pop_front()?;
        if let EventKind::TraceAppended { job, .. } = event.kind
            && self.open.get(&job) == Some(&self.taken)
        {
            self.open.remove(&job);
        }
        self.taken += 1;
        Some(event)
    }

    /// How many events wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether no event waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn merge(&mut self, job: JobId, at: u64, more: u64) -> bool {
        let Some(number) = self.open.get(&job) else { return false };
        let Ok(position) = usize::try_from(number - self.taken) else { return false };
        match self.waiting.get_mut(position).map(|event| &mut event.kind) {
            Some(EventKind::TraceAppended { offset, length, .. }) if *offset + *length == at => {
                *length += more;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn appended(job: u64, offset: u64, length: u64) -> Event {
        event(EventKind::TraceAppended { job: JobId(job), offset, length })
    }

    fn event(kind: EventKind) -> Event {
        Event { at: SystemTime::UNIX_EPOCH, kind }
    }

    #[test]
    fn waiting_ranges_of_one_job_merge() {
        let mut queue = EventQueue::new();
        for offset in 0..1000 {
            queue.push(appended(1, offset, 1));
            queue.push(appended(2, 2 * offset, 2));
        }
        assert_eq!(queue.len(), 2);
        assert_eq!(queue.pop(), Some(appended(1, 0, 1000)));
        assert_eq!(queue.pop(), Some(appended(2, 0, 2000)));
        assert_eq!(queue.pop(), None);
    }

    #[test]
    fn a_range_that_was_taken_is_not_extended() {
        let mut queue = EventQueue::new();
        queue.push(appended(1, 0, 5));
        assert_eq!(queue.pop(), Some(appended(1, 0, 5)));
        queue.push(appended(1, 5, 5));
        assert_eq!(queue.pop(), Some(appended(1, 5, 5)));
    }

    #[test]
    fn nothing_merges_across_a_cut() {
        let mut queue = EventQueue::new();
        let cut = event(EventKind::TraceCut { job: JobId(1), length: 5 });
        queue.push(appended(1, 0, 5));
        queue.push(cut.clone());
        queue.push(appended(1, 5, 1));
        queue.push(appended(1, 6, 1));
        assert_eq!(queue.pop(), Some(appended(1, 0, 5)));
        assert_eq!(queue.pop(), Some(cut));
        assert_eq!(queue.pop(), Some(appended(1, 5, 2)));
        assert!(queue.is_empty());
    }
}
