//! The question at a terminal, once nothing goes on by itself: which manual jobs to play.

use runner_coordinator::run::{JobView, Status};
use tokio::task::spawn_blocking;

use super::Session;
use crate::exec::question::{self, Answer, Choice};
use crate::exec::stop::Stop;

impl Session<'_> {
    /// Asks until there is a usable answer, and plays what was chosen. `false`: nothing, or nobody to ask.
    pub(super) async fn play_what_is_wanted(&mut self, stop: &mut Stop) -> bool {
        let playable = self.playable();
        if !self.asks || playable.is_empty() {
            return false;
        }
        let choices: Vec<Choice> = playable.iter().map(|(_, choice)| choice.clone()).collect();
        let mut text = format!("\n{}", question::list(&choices, self.screen.styles()));
        loop {
            let said = std::mem::take(&mut text);
            let asked = spawn_blocking(move || question::ask(&said));
            let line = tokio::select! {
                line = asked => line.ok().flatten(),
                _ = stop.next() => None,
            };
            let Some(line) = line else {
                // The cursor stands behind the question.
                self.screen.say("");
                return false;
            };
            match question::understand(&line, &choices) {
                Answer::Play(chosen) if chosen.is_empty() => return false,
                Answer::Play(chosen) => {
                    let chosen = chosen.into_iter().filter_map(|number| playable.get(number));
                    return chosen.fold(false, |any, (index, choice)| self.play(*index, &choice.job) || any);
                }
                Answer::Unclear(why) => text = format!("{why}\n"),
            }
        }
    }

    /// Manual jobs that wait, with their pipelines. A job whose child pipeline waits is none: the child's jobs are.
    fn playable(&self) -> Vec<(usize, Choice)> {
        let is_parent = |index: usize, view: &JobView<'_>| {
            let last = view.last_try().map(|tried| (index, tried.id));
            last.is_some() && self.runs.iter().any(|run| run.parent == last)
        };
        let mut found = Vec::new();
        for (index, run) in self.runs.iter().enumerate() {
            for view in run.pipeline.jobs().filter(|view| view.status == Status::Manual) {
                if !is_parent(index, &view) {
                    let choice = Choice {
                        job: view.job.name.clone(),
                        base: format!("{}{}", run.prefix, view.job.base),
                        name: format!("{}{}", run.prefix, view.job.name),
                        stage: view.job.stage.clone(),
                        confirmation: view.job.manual_confirmation.clone(),
                    };
                    found.push((index, choice));
                }
            }
        }
        found
    }

    /// Plays a job; the jobs that started its pipeline go on, too.
    fn play(&mut self, index: usize, job: &str) -> bool {
        if let Err(error) = self.runs[index].pipeline.play(job) {
            self.screen.say(&error.to_string());
            return false;
        }
        let mut above = self.runs[index].parent;
        while let Some((parent, job)) = above {
            self.runs[parent].pipeline.resumed(job);
            above = self.runs[parent].parent;
        }
        true
    }
}
