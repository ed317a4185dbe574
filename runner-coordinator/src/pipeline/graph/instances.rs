//! Instances of `parallel` jobs. <https://docs.gitlab.com/ci/yaml/#parallel>

use std::collections::HashSet;
use std::sync::Arc;

use indexmap::IndexMap;

use super::super::check::Check;
use super::super::entries::job::Draft;
use super::super::entries::parallel::Parallel;
use super::super::entries::root::Root;
use super::super::entries::variables::merge;
use super::super::error::CompileError;
use super::super::job::{Job, Node, Variable, Work};
use super::names::{resolve_dependencies, resolve_needs};

const MAX_NAME: usize = 255;
/// All compiled jobs together, in bytes of text. Inheriting and multiplying cannot make a small file fill the memory.
const MAX_WEIGHT: usize = 256 * 1024 * 1024;

/// A job that would run if its rules let it in.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) job: Job,
    pub(crate) draft: Arc<Draft>,
    /// Variables of a matrix instance.
    pub(crate) matrix: Vec<Variable>,
}

/// Instances by the name under which the job is written.
pub(crate) type Instances = IndexMap<String, Vec<Instance>>;

/// One instance of a job; a job without `parallel` has one of its own name.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(crate) name: String,
    pub(crate) matrix: IndexMap<String, String>,
}

/// Makes the instances of all jobs and resolves the names that jobs use for each other.
pub(crate) fn plan(check: &mut Check, root: &mut Root) -> (Vec<Planned>, Instances) {
    let drafts: Vec<Arc<Draft>> = std::mem::take(&mut root.jobs).into_iter().map(Arc::new).collect();
    let instances: Instances =
        drafts.iter().map(|draft| (draft.job.name.clone(), instances(check, draft))).collect();
    let mut planned = Vec::new();
    let mut weight = 0_usize;
    for draft in &drafts {
        let own = instances.get(&draft.job.name).map(Vec::as_slice).unwrap_or_default();
        let inherited: Vec<Variable> = root
            .variables
            .iter()
            .filter(|variable| draft.inherit_variables.allows(&variable.key))
            .cloned()
            .collect();
        for (index, instance) in own.iter().enumerate() {
            let job = job(check, draft, instance, (index, own.len()), &inherited, &instances);
            weight = weight.saturating_add(job_weight(&job.job));
            if weight > MAX_WEIGHT {
                check.push(
                    CompileError::new(&draft.job.span, "the jobs of the configuration are too big").help(
                        "what they inherit is multiplied by their number; make `default` or `parallel` smaller",
                    ),
                );
                return (planned, instances);
            }
            planned.push(job);
        }
    }
    (planned, instances)
}

fn instances(check: &mut Check, draft: &Draft) -> Vec<Instance> {
    let base = &draft.job.name;
    let mut instances: Vec<Instance> = match &draft.parallel {
        None => vec![Instance { name: base.clone(), matrix: IndexMap::new() }],
        Some(Parallel::Count(total)) => (1..=*total)
            .map(|index| Instance { name: format!("{base} {index}/{total}"), matrix: IndexMap::new() })
            .collect(),
        Some(Parallel::Matrix(entries)) => entries
            .iter()
            .map(|matrix| {
                let values: Vec<&str> = matrix.values().map(String::as_str).collect();
                Instance { name: format!("{base}: [{}]", values.join(", ")), matrix: matrix.clone() }
            })
            .collect(),
    };
    // A value that is written twice makes one instance.
    let mut names = HashSet::new();
    instances.retain(|instance| names.insert(instance.name.clone()));
    if let Some(long) = instances.iter().find(|instance| instance.name.chars().count() > MAX_NAME) {
        let message = format!("jobs:{} name is too long (maximum is {MAX_NAME} characters)", long.name);
        check.error(&draft.job.span, message);
    }
    instances
}

fn job(
    check: &mut Check,
    draft: &Arc<Draft>,
    instance: &Instance,
    (index, total): (usize, usize),
    inherited: &[Variable],
    instances: &Instances,
) -> Planned {
    let matrix: Vec<Variable> = instance
        .matrix
        .iter()
        .map(|(key, value)| Variable { key: key.clone(), value: value.clone(), raw: false })
        .collect();
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let mut job = draft.job.clone();
    job.name.clone_from(&instance.name);
    job.node = draft.parallel.as_ref().map(|_| Node { index: number(index + 1), total: number(total) });
    job.variables = merge(&merge(inherited, &draft.variables), &matrix);
    job.needs = draft.needs.as_ref().map(|needs| match resolve_needs(needs, instances, &instance.matrix) {
        Ok(needs) => needs,
        Err(error) => {
            check.push(error);
            Vec::new()
        }
    });
    job.dependencies = draft.dependencies.as_ref().map(|(names, _)| resolve_dependencies(names, instances));
    Planned { job, draft: draft.clone(), matrix }
}

/// About how much text a job holds.
fn job_weight(job: &Job) -> usize {
    let texts = |texts: &[String]| texts.iter().map(|text| text.len() + 24).sum::<usize>();
    let work = match &job.work {
        Work::Script { before_script, script, after_script } => {
            texts(before_script) + texts(script) + texts(after_script)
        }
        Work::Trigger(_) => 0,
    };
    let variables: usize =
        job.variables.iter().map(|variable| variable.key.len() + variable.value.len() + 64).sum();
    let needs = job.needs.iter().flatten().map(|need| need.job.len() + 32).sum::<usize>();
    let artifacts = job
        .artifacts
        .iter()
        .map(|artifacts| texts(&artifacts.paths) + texts(&artifacts.exclude))
        .sum::<usize>();
    let caches = job.cache.iter().map(|cache| texts(&cache.paths)).sum::<usize>();
    let services = job.services.iter().map(|service| {
        service.image.name.len()
            + 256
            + service
                .variables
                .iter()
                .map(|variable| variable.key.len() + variable.value.len())
                .sum::<usize>()
    });
    500 + work
        + variables
        + needs
        + artifacts
        + caches
        + services.sum::<usize>()
        + texts(&job.pre_get_sources_script)
}
