//! What happens, as it happens: jobs start, print and end, times come, the user wants it to stop.

use std::time::{Duration, SystemTime};

use runner_coordinator::core::{Event, EventKind, JobId};
use runner_coordinator::http::Events;
use runner_coordinator::run::{Finished, Outcome, Status, coverage};
use runner_core::observe::{self, Happening};

use tokio::time::MissedTickBehavior;

use super::Session;
use super::news::News;
use crate::exec::artifacts;
use crate::exec::stop::{Stop, Wish};
use crate::exec::ui::Progress;

/// Time between two looks at what runs, on a terminal.
const REFRESH: Duration = Duration::from_millis(100);

impl Session<'_> {
    /// Lets the pipelines run until nothing more happens by itself; `None` when the user does not want to wait for that.
    pub(super) async fn follow(
        &mut self,
        mut events: Events,
        mut news: News,
        stop: &mut Stop,
    ) -> Option<Outcome> {
        let mut ticks = tokio::time::interval(REFRESH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            self.act();
            if let Some(outcome) = self.outcome() {
                self.screen.rest();
                if outcome == Outcome::Canceled || !self.play_what_is_wanted(stop).await {
                    return Some(outcome);
                }
                continue;
            }
            let wake = self.runs.iter().filter_map(|run| run.wake).min();
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.handle(&event),
                    None => return None,
                },
                Some(told) = news.recv() => self.hear(&told),
                _ = ticks.tick(), if self.screen.is_live() => self.refresh(),
                () = self.host.resources.freed() => {}
                () = sleep_until(wake) => {
                    self.runs.iter_mut().filter(|run| run.wake == wake).for_each(|run| run.wake = None);
                }
                wish = stop.next() => match wish {
                    Wish::Leave => return None,
                    _ => self.stop(wish),
                },
            }
        }
    }

    /// How it ended, once every pipeline has.
    fn outcome(&self) -> Option<Outcome> {
        let all: Option<Vec<Outcome>> = self.runs.iter().map(|run| run.pipeline.outcome()).collect();
        let outcome = all?.into_iter().next()?;
        Some(match outcome {
            Outcome::Blocked { manual } => Outcome::Blocked { manual: self.blocking(0, manual) },
            other => other,
        })
    }

    fn handle(&mut self, event: &Event) {
        match event.kind {
            EventKind::JobStarted { job } => {
                if let Some((index, name)) = self.names.get(&job) {
                    self.runs[*index].pipeline.started(job, event.at);
                    self.screen.started(name, event.at);
                }
            }
            EventKind::TraceAppended { job, .. } => self.show(job),
            EventKind::JobFinished { job, .. } => {
                self.show(job);
                let finished = self.coordinator.job(job, |record| Finished::from(record));
                let (Some(finished), Some((index, _))) = (finished, self.names.get(&job)) else { return };
                let index = *index;
                self.keep_archive(index, job, &finished);
                self.runs[index].pipeline.finished(job, finished, event.at);
                self.ended(index, job);
            }
            _ => {}
        }
    }

    /// Shows how far everything is.
    fn refresh(&mut self) {
        let now = SystemTime::now();
        let mut progress = Progress {
            title: format!("pipeline {}", self.plan.folder.pipeline),
            elapsed: now.duration_since(self.begun).unwrap_or_default(),
            ..Progress::default()
        };
        for view in self.runs.iter().flat_map(|run| run.pipeline.jobs()) {
            progress.jobs += 1;
            match view.status {
                Status::Manual => progress.manual += 1,
                Status::Running | Status::Canceling => {}
                status if status.is_complete() => {
                    progress.done += 1;
                    progress.failed += usize::from(status == Status::Failed && !view.failure_allowed);
                }
                _ => progress.waiting += 1,
            }
        }
        self.screen.refresh(&progress, now);
    }

    /// Something that only the runner knows.
    fn hear(&mut self, told: &observe::Event) {
        let job = JobId(told.job.job);
        match &told.happening {
            // Canceled while it was on its way: it could not be told before.
            Happening::Acknowledged => self.tell_of_cancel(job),
            Happening::StageStarted(stage) => {
                if let Some((_, name)) = self.names.get(&job) {
                    self.screen.stage(name, &stage.name);
                }
            }
            _ => {}
        }
    }

    /// Other pipelines of this run may need the archive of a job.
    fn keep_archive(&mut self, index: usize, job: JobId, finished: &Finished) {
        let run = &self.runs[index];
        let (Some(view), Some(archive)) = (run.pipeline.job_of(job), &finished.archive) else { return };
        let key = (run.facts.pipeline_id, view.job.name.clone());
        self.host.archives.insert(key, (job, archive.clone()));
    }

    /// Shows what a job has printed since the last time.
    fn show(&mut self, job: JobId) {
        let Some((_, name)) = self.names.get(&job) else { return };
        let shown = self.shown.entry(job).or_default();
        let bytes = self.coordinator.read_trace(job, *shown);
        *shown += u64::try_from(bytes.len()).unwrap_or_default();
        self.screen.output(name, &bytes);
    }

    fn ended(&mut self, index: usize, job: JobId) {
        let Some((_, name)) = self.names.get(&job).cloned() else { return };
        self.screen.ended(&name);
        let pipeline = &self.runs[index].pipeline;
        let Some(view) = pipeline.job_of(job) else { return };
        let Some(last) = view.tries.iter().find(|tried| tried.id == job) else { return };
        let mut text = last.status.to_string();
        if let Some(reason) = &last.failure_reason {
            text.push_str(&format!(": {reason}"));
        }
        if let Some(code) = last.exit_code.filter(|_| last.status == Status::Failed) {
            text.push_str(&format!(", exit code {code}"));
        }
        if view.last_try().is_some_and(|newest| newest.id != job) || view.status == Status::Pending {
            text.push_str("; trying again");
        }
        if let Some(expression) = &view.job.coverage
            && let Some(percent) = coverage(expression, &self.coordinator.read_trace(job, 0))
        {
            text.push_str(&format!(", coverage {percent}%"));
            self.coverage.insert(job, percent);
        }
        if last.status == Status::Success
            && let Some((environment, url)) = pipeline.environment(&view.job.name)
        {
            self.notes.push(format!("{name}: environment {environment} is at {url}"));
        }
        let pages = view.job.pages.clone().filter(|_| last.status == Status::Success);
        self.screen.remark(&name, &text);
        let mut unpacked = None;
        if let Some(folder) = &self.plan.arguments.artifacts_to
            && let Some(archive) = self.coordinator.artifact(job, "archive")
        {
            let folder = self.plan.surroundings.here.join(folder);
            match artifacts::extract(&archive, &folder, &name) {
                Ok(folder) => unpacked = Some(folder),
                Err(error) => {
                    self.notes.push(format!("{name}: the artifacts could not be extracted: {error}"));
                }
            }
        }
        if let Some(publish) = pages {
            self.notes.push(match unpacked {
                Some(folder) => format!("{name}: the pages are in {}", folder.join(publish).display()),
                None => format!(
                    "{name}: the pages are not published; --artifacts-to DIR leaves them in DIR/{name}/{publish}"
                ),
            });
        }
    }

    fn stop(&mut self, wish: Wish) {
        let now = SystemTime::now();
        match wish {
            Wish::Newer(change) => {
                self.screen
                    .say(&format!("canceling: {change} changed; --watch=finish would wait for the end"));
                self.runs.iter_mut().for_each(|run| run.pipeline.cancel(now));
            }
            Wish::Cancel => {
                self.screen.say("canceling; once more to stop without after_script");
                self.runs.iter_mut().for_each(|run| run.pipeline.cancel(now));
            }
            Wish::Kill | Wish::Leave => {
                self.screen.say("stopping at once");
                self.runs.iter_mut().for_each(|run| run.pipeline.cancel(now));
                self.runner.abort();
            }
        }
    }
}

/// Waits until a time; without one for ever.
async fn sleep_until(time: Option<SystemTime>) {
    match time {
        Some(time) => tokio::time::sleep(time.duration_since(SystemTime::now()).unwrap_or_default()).await,
        None => std::future::pending().await,
    }
}
