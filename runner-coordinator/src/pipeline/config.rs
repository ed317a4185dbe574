//! A compiled configuration, before rules are applied.

use std::collections::BTreeSet;
use std::fmt;

use super::ProjectFiles;
use super::check::Check;
use super::context::Context;
use super::entries::root;
use super::entries::workflow::Workflow;
use super::error::{CompileError, CompileErrors};
use super::expand::Scope;
use super::files::Listing;
use super::graph::{self, Instances, Planned};
use super::include::Loaded;
use super::job::{Job, Variable};
use super::rules::Rule;
use super::span::Span;
use super::{extends, include, reference};

/// A valid configuration with all jobs that it defines, whatever their rules say.
///
/// Comes from [`compile`]; [`Config::evaluate`] makes a [`Pipeline`](super::Pipeline) of it.
#[derive(Clone)]
pub struct Config {
    pub(super) stages: Vec<String>,
    pub(super) planned: Vec<Planned>,
    pub(super) instances: Instances,
    pub(super) variables: Vec<Variable>,
    pub(super) workflow: Workflow,
    /// Files of the commit, if a rule asks for them.
    pub(super) tracked: Vec<String>,
    /// Refs with which rules compare.
    compared: Vec<String>,
    pub(super) notes: Vec<String>,
}

/// Compiles the configuration at `root_path` with all that it includes.
///
/// Nothing here depends on rules of jobs: the result lists every visible job. `root_path` is relative to the root of the
/// repository.
///
/// # Errors
/// The first mistake of the first file that cannot be read, included or merged; or all mistakes that are found in the
/// keywords.
pub fn compile(
    root_path: &str,
    files: &dyn ProjectFiles,
    context: &Context,
) -> Result<Config, CompileErrors> {
    let files = Listing::new(files);
    let loaded = include::load(root_path, &files, context)?;
    // Without an include the rest may not fit together: then the include is to blame first.
    let left_out = loaded.left_out.clone();
    compile_merged(loaded, &files, context).map_err(|errors| errors.blame(&left_out))
}

/// Compiles the configuration of a child pipeline: the files of `trigger:include`, merged as if one file included them.
///
/// `asked_by` is the place of the job that starts it.
///
/// # Errors
/// As [`compile`].
pub fn compile_child(
    paths: &[String],
    asked_by: &Span,
    files: &dyn ProjectFiles,
    context: &Context,
) -> Result<Config, CompileErrors> {
    let files = Listing::new(files);
    let loaded = include::load_all(paths, asked_by, &files, context)?;
    let left_out = loaded.left_out.clone();
    compile_merged(loaded, &files, context).map_err(|errors| errors.blame(&left_out))
}

fn compile_merged(loaded: Loaded, files: &Listing<'_>, context: &Context) -> Result<Config, CompileErrors> {
    let extended = extends::resolve(&loaded.root, &loaded.span)?;
    let tree = reference::resolve(&extended, &loaded.span)?;

    let notes = loaded.notes.into_iter().chain(loaded.left_out).collect();
    let mut check = Check { notes, ..Check::default() };
    let mut root = root::root(&mut check, &tree, &loaded.span);
    CompileErrors::check(std::mem::take(&mut check.errors))?;

    let (mut planned, instances) = graph::plan(&mut check, &mut root);
    graph::validate(&mut check, &planned, &instances, &root.stages);
    CompileErrors::check(std::mem::take(&mut check.errors))?;

    let position = |stage: &str| root.stages.iter().position(|known| known == stage);
    planned.sort_by_key(|planned| position(&planned.job.stage));
    let rules = || {
        let of_jobs = planned.iter().flat_map(|planned| planned.draft.rules.iter().flatten());
        of_jobs.chain(root.workflow.rules.iter().flatten())
    };
    let tracked = match rules().find(|rule| rule.clauses.exists.is_some()) {
        Some(rule) => files.tracked(&rule.span)?.to_vec(),
        None => Vec::new(),
    };
    let compared = compared(rules(), context.variables.iter().chain(&root.variables));
    let mut notes = check.notes;
    notes.extend(check.ignored.iter().map(|(keyword, count)| {
        format!("ignored: {keyword} ({count} {})", if *count == 1 { "job" } else { "jobs" })
    }));
    Ok(Config {
        stages: root.stages,
        planned,
        instances,
        variables: root.variables,
        workflow: root.workflow,
        tracked,
        compared,
        notes,
    })
}

impl Config {
    /// All stages in order, `.pre` and `.post` included.
    #[must_use]
    pub fn stages(&self) -> &[String] {
        &self.stages
    }

    /// Every visible job, ordered by stage and then as written, as if it had no rules.
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.planned.iter().map(|planned| &planned.job)
    }

    /// Things worth telling the user once: keys written twice, keywords without effect here.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Keywords of a job that cannot be honoured here; `base` is the name under which the job is written.
    pub fn unsupported(&self, base: &str) -> impl Iterator<Item = &CompileError> {
        let planned = self.planned.iter().find(|planned| planned.job.base == base);
        planned.into_iter().flat_map(|planned| planned.draft.unsupported.iter())
    }

    /// Refs with which rules compare, variables expanded: what [`Facts::changed_since`](super::Facts::changed_since)
    /// should know.
    pub fn compared_refs(&self) -> impl Iterator<Item = &str> {
        self.compared.iter().map(String::as_str)
    }
}

/// The refs in `compare_to`, each once. Variables that refer to each other in a circle are reported by evaluation.
fn compared<'r>(
    rules: impl Iterator<Item = &'r Rule>,
    variables: impl Iterator<Item = &'r Variable>,
) -> Vec<String> {
    let refs: Vec<&str> =
        rules.filter_map(|rule| rule.clauses.changes.as_ref()?.compare_to.as_deref()).collect();
    if refs.is_empty() {
        return Vec::new();
    }
    let scope = Scope::new(variables).unwrap_or_default();
    let refs: BTreeSet<String> = refs.into_iter().map(|name| scope.expand(name)).collect();
    refs.into_iter().collect()
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("stages", &self.stages)
            .field("jobs", &self.jobs().map(|job| &job.name).collect::<Vec<_>>())
            .field("notes", &self.notes)
            .finish_non_exhaustive()
    }
}
