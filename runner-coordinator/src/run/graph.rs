//! Which job waits for which, and whose artifacts it gets.

use std::collections::{HashMap, HashSet};

use super::error::RunError;
use crate::pipeline::{Job, Pipeline};

/// The edges between the jobs of a pipeline. Jobs are numbered in the order of [`Pipeline::jobs`], which is sorted by
/// stage when the graph is made.
#[derive(Debug)]
pub(super) struct Graph {
    /// Number of each job's stage.
    pub(super) stages: Vec<usize>,
    /// Jobs that a job needs; `None` for one that waits for all earlier stages.
    pub(super) needs: Vec<Option<Vec<usize>>>,
    /// Jobs whose artifacts and dotenv variables a job gets, in pipeline order.
    pub(super) downloads: Vec<Vec<usize>>,
}

impl Graph {
    /// Sorts the jobs by stage and resolves names.
    pub(super) fn new(pipeline: &mut Pipeline) -> Result<Self, RunError> {
        let stage_numbers: HashMap<String, usize> =
            pipeline.stages.iter().enumerate().map(|(number, stage)| (stage.clone(), number)).collect();
        if let Some(job) = pipeline.jobs.iter().find(|job| !stage_numbers.contains_key(&job.stage)) {
            return Err(RunError::UnknownStage {
                job: job.name.clone(),
                stage: job.stage.clone(),
                available: pipeline.stages.clone(),
            });
        }
        pipeline.jobs.sort_by_key(|job| stage_numbers.get(&job.stage).copied());
        let jobs = &pipeline.jobs;
        let stages: Vec<usize> =
            jobs.iter().filter_map(|job| stage_numbers.get(&job.stage).copied()).collect();
        let mut numbers = HashMap::new();
        for (number, job) in jobs.iter().enumerate() {
            if numbers.insert(job.name.as_str(), number).is_some() {
                return Err(RunError::DuplicateJob { name: job.name.clone() });
            }
        }
        let mut needs = Vec::with_capacity(jobs.len());
        for (number, job) in jobs.iter().enumerate() {
            needs.push(needs_of(number, job, &numbers, &stages)?);
        }
        check_circles(jobs, &needs)?;
        let downloads = jobs
            .iter()
            .enumerate()
            .map(|(number, job)| downloads_of(number, job, &numbers, &stages))
            .collect();
        Ok(Self { stages, needs, downloads })
    }

    /// Jobs that need one of the given ones, directly or through others; the given ones included.
    pub(super) fn with_dependents(&self, roots: &[usize]) -> HashSet<usize> {
        let mut found: HashSet<usize> = roots.iter().copied().collect();
        loop {
            let more: Vec<usize> = (0..self.needs.len())
                .filter(|job| !found.contains(job))
                .filter(|job| self.needs[*job].iter().flatten().any(|need| found.contains(need)))
                .collect();
            if more.is_empty() {
                return found;
            }
            found.extend(more);
        }
    }
}

fn needs_of(
    number: usize,
    job: &Job,
    numbers: &HashMap<&str, usize>,
    stages: &[usize],
) -> Result<Option<Vec<usize>>, RunError> {
    let Some(needs) = &job.needs else { return Ok(None) };
    let mut found = Vec::with_capacity(needs.len());
    for need in needs {
        match numbers.get(need.job.as_str()) {
            Some(needed) if stages[*needed] > stages[number] => {
                return Err(RunError::LaterNeed { job: job.name.clone(), need: need.job.clone() });
            }
            Some(needed) => found.push(*needed),
            None if need.optional => {}
            None => return Err(RunError::MissingNeed { job: job.name.clone(), need: need.job.clone() }),
        }
    }
    Ok(Some(found))
}

/// `needs` with artifacts, else all earlier stages; `dependencies` restricts either.
fn downloads_of(number: usize, job: &Job, numbers: &HashMap<&str, usize>, stages: &[usize]) -> Vec<usize> {
    let mut found: Vec<usize> = match (&job.needs, &job.dependencies) {
        (Some(needs), _) => {
            let with_artifacts = needs.iter().filter(|need| need.artifacts);
            with_artifacts.filter_map(|need| numbers.get(need.job.as_str()).copied()).collect()
        }
        (None, Some(names)) => names.iter().filter_map(|name| numbers.get(name.as_str()).copied()).collect(),
        (None, None) => (0..stages.len()).filter(|other| stages[*other] < stages[number]).collect(),
    };
    if let Some(names) = &job.dependencies {
        let allowed: HashSet<usize> =
            names.iter().filter_map(|name| numbers.get(name.as_str()).copied()).collect();
        found.retain(|other| allowed.contains(other));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Removes jobs whose needs are all removed until nothing changes; what stays is a circle or waits for one. Stage
/// order alone cannot close one: it only ever points to earlier stages, and needs never to later ones.
fn check_circles(jobs: &[Job], needs: &[Option<Vec<usize>>]) -> Result<(), RunError> {
    let mut waiting: Vec<usize> = needs.iter().map(|needs| needs.as_ref().map_or(0, Vec::len)).collect();
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); jobs.len()];
    for (job, needs) in needs.iter().enumerate() {
        for need in needs.iter().flatten() {
            dependents[*need].push(job);
        }
    }
    let mut free: Vec<usize> = (0..jobs.len()).filter(|job| waiting[*job] == 0).collect();
    while let Some(job) = free.pop() {
        for dependent in &dependents[job] {
            waiting[*dependent] -= 1;
            if waiting[*dependent] == 0 {
                free.push(*dependent);
            }
        }
    }
    let circle: Vec<String> =
        jobs.iter().zip(&waiting).filter(|(_, count)| **count > 0).map(|(job, _)| job.name.clone()).collect();
    if circle.is_empty() { Ok(()) } else { Err(RunError::CircularNeeds { jobs: circle }) }
}
