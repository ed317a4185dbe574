//! What the pipelines ask for, done at the coordinator.

use std::time::SystemTime;

use runner_coordinator::core::{JobId, JobState};
use runner_coordinator::run::{Action, Finished, Outcome};
use runner_core::journal::CancelState;

use super::Session;

impl Session<'_> {
    /// Does what the pipelines ask for.
    pub(super) fn act(&mut self) {
        loop {
            let mut idle = true;
            for index in 0..self.runs.len() {
                let actions = self.runs[index].pipeline.advance(SystemTime::now(), &mut self.host);
                idle &= actions.is_empty();
                for action in actions {
                    self.perform(index, action);
                }
                idle &= !self.report_to_parent(index);
            }
            for news in self.host.resources.take_news() {
                self.screen.say(&news);
            }
            // Another pipeline may wait for it.
            idle &= !std::mem::take(&mut self.host.resources.released);
            if idle {
                return;
            }
        }
    }

    fn perform(&mut self, index: usize, action: Action) {
        match action {
            Action::Enqueue { job, name, mut new_job } => {
                let name = format!("{}{name}", self.runs[index].prefix);
                self.names.insert(job, (index, name));
                // The one runner here takes every job.
                new_job.tags.clear();
                self.coordinator.enqueue(*new_job);
            }
            Action::Cancel { job } => {
                let child = self.runs.iter_mut().find(|run| run.parent == Some((index, job)));
                match child {
                    Some(child) => child.pipeline.cancel(SystemTime::now()),
                    None => {
                        self.coordinator.cancel(job, false);
                        self.tell_of_cancel(job);
                    }
                }
            }
            Action::StartChild { job, name, includes, variables } => {
                self.start_child(index, job, &name, &includes, variables);
            }
            Action::WakeAt(time) => self.runs[index].wake = Some(time),
            Action::Note(note) => {
                let note = format!("{}{note}", self.runs[index].prefix);
                self.notes.push(note);
            }
        }
    }

    /// Tells the runner of a cancel at once: by itself it only hears of it with the next answer about the job, and a job that
    /// prints nothing asks rarely.
    pub(super) fn tell_of_cancel(&self, job: JobId) {
        if self.coordinator.state(job) != Some(JobState::Canceling) {
            return;
        }
        for running in self.runner.jobs() {
            if running.key.job == job.0 {
                self.runner.cancel(&running.key, CancelState::Graceful);
            }
        }
    }

    /// Tells the end of a child pipeline to the job that started it. Returns whether there was anything to tell.
    fn report_to_parent(&mut self, index: usize) -> bool {
        let run = &self.runs[index];
        let (Some((parent, job)), Some(outcome)) = (run.parent, run.pipeline.outcome()) else { return false };
        if run.told {
            return false;
        }
        let parent = &mut self.runs[parent].pipeline;
        let finished = match outcome {
            // It may go on, when one of its manual jobs is played.
            Outcome::Blocked { .. } => return parent.blocked(job),
            Outcome::Success { .. } | Outcome::Skipped => Finished::success(),
            Outcome::Failed => Finished::failed("unknown_failure"),
            Outcome::Canceled => Finished::canceled(),
        };
        let news = parent.finished(job, finished, SystemTime::now());
        self.runs[index].told = true;
        news
    }
}
