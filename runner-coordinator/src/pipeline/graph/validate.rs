//! Whether stages and names fit together.

use std::collections::{HashMap, HashSet};

use super::super::check::Check;
use super::super::entries::needs::NeedSpec;
use super::super::entries::root::Root;
use super::super::error::CompileError;
use super::super::job::Need;
use super::super::suggest;
use super::cycles;
use super::instances::{Instances, Planned};
use super::names::{resolve_needs, unknown_need};

/// Checks stage, needs, dependencies and `on_stop` of every job, and that no jobs wait for each other.
pub(crate) fn validate(check: &mut Check, planned: &[Planned], instances: &Instances, root: &Root) {
    let validator = Validator {
        planned,
        instances,
        unreadable: root.unreadable.iter().map(String::as_str).collect(),
        stages: root.stages.iter().enumerate().map(|(index, stage)| (stage.as_str(), index)).collect(),
        jobs: planned.iter().enumerate().map(|(index, planned)| (planned.job.name.as_str(), index)).collect(),
    };
    let before = check.errors.len();
    let mut names = HashSet::new();
    for planned in planned.iter().filter(|planned| !names.insert(planned.job.name.as_str())) {
        let name = &planned.job.name;
        check.error(
            &planned.job.span,
            format!("jobs:{name} is also the name of an instance of a parallel job"),
        );
    }
    let mut bases = HashSet::new();
    for planned in planned {
        let first = bases.insert(planned.job.base.as_str());
        if first {
            validator.stage(check, planned, &root.stages);
            validator.rule_needs(check, planned);
            validator.on_stop(check, planned);
        }
        validator.needs(check, planned, first);
        validator.dependencies(check, planned, first);
    }
    if check.errors.len() == before {
        validator.circles(check);
    }
}

/// What is wrong with `on_stop` when there is no such job.
const UNDEFINED: &str = "is not defined";

struct Validator<'p> {
    planned: &'p [Planned],
    instances: &'p Instances,
    /// Jobs that have mistakes of their own already; nobody is blamed for naming them.
    unreadable: HashSet<&'p str>,
    stages: HashMap<&'p str, usize>,
    jobs: HashMap<&'p str, usize>,
}

impl Validator<'_> {
    fn stage(&self, check: &mut Check, planned: &Planned, stages: &[String]) {
        let job = &planned.job;
        if self.stages.contains_key(job.stage.as_str()) {
            return;
        }
        let error = CompileError::new(
            &planned.draft.stage_span,
            format!(
                "{} job: chosen stage {} does not exist; available stages are {}",
                job.base,
                job.stage,
                stages.join(", ")
            ),
        )
        .missing();
        check.push(match suggest::closest(&job.stage, stages.iter().map(String::as_str)) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error.help("add it to `stages`"),
        });
    }

    fn needs(&self, check: &mut Check, planned: &Planned, first: bool) {
        let (Some(needs), Some(specs)) = (&planned.job.needs, &planned.draft.needs) else { return };
        if first {
            self.duplicates(check, planned, needs, specs);
        }
        for need in needs {
            self.need(check, planned, need, specs);
        }
    }

    /// Needs that rules put in the place of the job's own.
    fn rule_needs(&self, check: &mut Check, planned: &Planned) {
        for specs in planned.draft.rules.iter().flatten().filter_map(|rule| rule.needs.as_ref()) {
            let matrix = planned
                .matrix
                .iter()
                .map(|variable| (variable.key.clone(), variable.value.clone()))
                .collect();
            match resolve_needs(specs, self.instances, &matrix) {
                Ok(needs) => {
                    for need in &needs {
                        self.need(check, planned, need, specs);
                    }
                }
                Err(error) => check.push(error),
            }
        }
    }

    fn need(&self, check: &mut Check, planned: &Planned, need: &Need, specs: &[NeedSpec]) {
        let name = &planned.job.name;
        let spec = specs.iter().find(|spec| need.job == spec.job || need.job.starts_with(&spec.job));
        let span = spec.map_or(&planned.job.span, |spec| &spec.span);
        match self.jobs.get(need.job.as_str()) {
            None if need.optional || self.is_unreadable(&need.job) => {}
            None => match spec {
                Some(spec) => check.push(unknown_need(name, spec, &need.job, self.instances)),
                None => {
                    let message = format!("{name} job: undefined need: {}", need.job);
                    check.push(CompileError::new(span, message).missing());
                }
            },
            Some(index) if self.is_later(&self.planned[*index], planned) => {
                let other = &self.planned[*index].job.stage;
                let message =
                    format!("{name} job: need {} is not defined in current or prior stages", need.job);
                check.push(CompileError::new(span, message).help(format!(
                    "`{}` is in stage {other}, which comes after stage {}",
                    need.job, planned.job.stage
                )));
            }
            Some(_) => {}
        }
    }

    fn duplicates(&self, check: &mut Check, planned: &Planned, needs: &[Need], specs: &[NeedSpec]) {
        let mut seen = HashSet::new();
        let mut duplicated: Vec<&str> =
            needs.iter().map(|need| need.job.as_str()).filter(|job| !seen.insert(*job)).collect();
        duplicated.sort_unstable();
        duplicated.dedup();
        if !duplicated.is_empty() {
            let span = specs.last().map_or(&planned.job.span, |spec| &spec.span);
            let message = format!(
                "{} has the following needs duplicated: {}.",
                planned.job.base,
                duplicated.join(", ")
            );
            check.error(span, message);
        }
    }

    fn dependencies(&self, check: &mut Check, planned: &Planned, first: bool) {
        let (Some(names), Some((_, span))) = (&planned.job.dependencies, &planned.draft.dependencies) else {
            return;
        };
        if !first {
            return;
        }
        let name = &planned.job.name;
        for dependency in names {
            match self.jobs.get(dependency.as_str()) {
                None if self.is_unreadable(dependency) => {}
                None => {
                    let message = format!("{name} job: undefined dependency: {dependency}");
                    let near = suggest::closest(dependency, self.instances.keys().map(String::as_str));
                    let error = CompileError::new(span, message).missing();
                    check.push(match near {
                        Some(near) => error.help(format!("did you mean `{near}`?")),
                        None => error,
                    });
                }
                Some(index) if self.is_later(&self.planned[*index], planned) => {
                    let message = format!(
                        "{name} job: dependency {dependency} is not defined in current or prior stages"
                    );
                    check.error(span, message);
                }
                Some(_) => {}
            }
        }
        let Some(needs) = &planned.job.needs else { return };
        let outside: Vec<&str> = names
            .iter()
            .map(String::as_str)
            .filter(|dependency| !needs.iter().any(|need| need.job == *dependency))
            .collect();
        if !outside.is_empty() {
            let message = format!(
                "jobs:{} dependencies the {} should be part of needs",
                planned.job.base,
                outside.join(", ")
            );
            check.error(span, message);
        }
    }

    fn on_stop(&self, check: &mut Check, planned: &Planned) {
        let job = &planned.job;
        let Some(environment) = &job.environment else { return };
        let Some(on_stop) = &environment.on_stop else { return };
        let text = match self.jobs.get(on_stop.as_str()).map(|index| &self.planned[*index].job.environment) {
            None if self.is_unreadable(on_stop) => return,
            None => UNDEFINED,
            Some(None) => "does not have environment defined",
            Some(Some(stop)) if stop.name != environment.name => "have different environment name",
            Some(Some(stop)) if stop.action != "stop" => "needs to have action stop defined",
            Some(Some(_)) => return,
        };
        let error = CompileError::new(&job.span, format!("{} job: on_stop job {on_stop} {text}", job.base));
        check.push(if text == UNDEFINED { error.missing() } else { error });
    }

    /// Whether this is the name of a job that could not be read, or of one of its instances.
    fn is_unreadable(&self, name: &str) -> bool {
        let base = name.split_once(": [").or_else(|| name.rsplit_once(' ')).map_or(name, |(base, _)| base);
        self.unreadable.contains(name) || self.unreadable.contains(base)
    }

    fn circles(&self, check: &mut Check) {
        let edges: Vec<Vec<usize>> = self
            .planned
            .iter()
            .map(|planned| {
                let needs = planned.job.needs.iter().flatten();
                needs.filter_map(|need| self.jobs.get(need.job.as_str()).copied()).collect()
            })
            .collect();
        let Some(circle) = cycles::find(&edges) else { return };
        let Some(first) = circle.first().map(|index| &self.planned[*index].job) else { return };
        let mut names: Vec<&str> =
            circle.iter().take(20).map(|index| self.planned[*index].job.name.as_str()).collect();
        names.push(if circle.len() > 20 { "…" } else { &first.name });
        check.error(&first.span, format!("The pipeline has circular dependencies: {}", names.join(" → ")));
    }

    /// Whether `other` runs in a later stage than `job`.
    fn is_later(&self, other: &Planned, job: &Planned) -> bool {
        let stage = |planned: &Planned| self.stages.get(planned.job.stage.as_str());
        matches!((stage(other), stage(job)), (Some(other), Some(job)) if other > job)
    }
}
