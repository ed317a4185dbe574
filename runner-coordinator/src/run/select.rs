//! Running only some jobs of a pipeline.

use std::collections::{HashMap, HashSet, VecDeque};

use super::error::RunError;
use crate::pipeline::{Job, Pipeline, When};

/// Which jobs of a pipeline run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All that the rules let in.
    All,
    /// The named jobs, and perhaps what they need.
    Jobs {
        /// Full names, or the name of a `parallel` job for all its instances.
        names: Vec<String>,
        /// Whether the jobs they need run before: their `needs`, or all jobs of earlier stages when a job has none,
        /// and so on. Without it the named jobs keep only the order among themselves.
        with_needs: bool,
    },
}

impl Selection {
    /// Leaves out the jobs that were not asked for.
    ///
    /// A manual or delayed job that is named, or that one of them `needs`, does not wait: asking for it is playing it;
    /// otherwise manual jobs stay manual. A named job that is meant for failures runs without one.
    pub(super) fn apply(&self, mut pipeline: Pipeline) -> Result<Selected, RunError> {
        let Self::Jobs { names, with_needs } = self else {
            return Ok(Selected { pipeline, played: HashSet::new() });
        };
        let named = find_all(&pipeline, names)?;
        let mut played = named.clone();
        let kept =
            if *with_needs { with_predecessors(&pipeline, &named, &mut played) } else { named.clone() };
        pipeline.jobs.retain(|job| kept.contains(&job.name));
        for job in &mut pipeline.jobs {
            if named.contains(&job.name) && job.when == When::OnFailure {
                job.when = When::Always;
            }
            if let Some(needs) = &mut job.needs {
                needs.retain(|need| kept.contains(&need.job));
            }
        }
        Ok(Selected { pipeline, played })
    }
}

/// What is left of a pipeline.
#[derive(Debug)]
pub(super) struct Selected {
    pub(super) pipeline: Pipeline,
    /// Jobs that do not wait to be played.
    pub(super) played: HashSet<String>,
}

/// Whether a name given by a user means this job.
pub(super) fn is_meant(name: &str, job: &Job) -> bool {
    job.name == name || job.base == name
}

fn find_all(pipeline: &Pipeline, names: &[String]) -> Result<HashSet<String>, RunError> {
    let mut found = HashSet::new();
    for name in names {
        let meant: Vec<&Job> = pipeline.jobs.iter().filter(|job| is_meant(name, job)).collect();
        if meant.is_empty() {
            let available = pipeline.jobs.iter().map(|job| job.name.clone()).collect();
            return Err(RunError::UnknownJob { name: name.clone(), available });
        }
        found.extend(meant.into_iter().map(|job| job.name.clone()));
    }
    Ok(found)
}

/// The closure over predecessors. Manual jobs that are needed by name are added to `played`.
fn with_predecessors(
    pipeline: &Pipeline,
    named: &HashSet<String>,
    played: &mut HashSet<String>,
) -> HashSet<String> {
    let jobs: HashMap<&str, &Job> = pipeline.jobs.iter().map(|job| (job.name.as_str(), job)).collect();
    let stages: HashMap<&str, usize> =
        pipeline.stages.iter().enumerate().map(|(index, stage)| (stage.as_str(), index)).collect();
    let mut kept = named.clone();
    let mut open: VecDeque<&str> = named.iter().map(String::as_str).collect();
    while let Some(job) = open.pop_front().and_then(|name| jobs.get(name)) {
        let predecessors: Vec<&str> = match &job.needs {
            Some(needs) => {
                played.extend(needs.iter().map(|need| need.job.clone()));
                needs.iter().map(|need| need.job.as_str()).filter(|need| jobs.contains_key(need)).collect()
            }
            None => {
                let own = stages.get(job.stage.as_str());
                let earlier = |other: &&Job| stages.get(other.stage.as_str()) < own;
                pipeline.jobs.iter().filter(earlier).map(|other| other.name.as_str()).collect()
            }
        };
        for predecessor in predecessors {
            if kept.insert(predecessor.to_owned()) {
                open.push_back(predecessor);
            }
        }
    }
    kept
}
