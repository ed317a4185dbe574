//! A compiled configuration, before rules are applied.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::ProjectFiles;
use super::check::Check;
use super::context::Context;
use super::entries::root;
use super::entries::workflow::Workflow;
use super::error::{Code, CompileError, CompileErrors, Origin};
use super::expand::Scope;
use super::files::Listing;
use super::graph::{self, Instances, Planned};
use super::include::{Include, Loaded, Sources};
use super::job::{ChildInclude, Job, Variable};
use super::rules::{Exists, ForeignFiles, Rule};
use super::span::Span;
use super::{extends, include, reference};

/// Most other projects whose files are listed.
const MAX_FOREIGN: usize = 50;

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
    /// Files of other projects that rules ask for.
    pub(super) foreign: ForeignFiles,
    /// Refs with which rules compare.
    compared: Vec<String>,
    pub(super) notes: Vec<String>,
    warnings: Vec<CompileError>,
    /// Where everything comes from, for messages.
    pub(super) origin: Arc<Origin>,
}

/// Compiles the configuration at `root_path` with all that it includes.
///
/// Nothing here depends on rules of jobs: the result lists every visible job. `root_path` is relative to the root of the
/// repository.
///
/// # Errors
/// All mistakes of the phase that fails first: includes, `extends`, references, keywords with the graph of jobs. Of each
/// file that is no YAML the first.
pub fn compile(
    root_path: &str,
    files: &dyn ProjectFiles,
    context: &Context,
) -> Result<Config, CompileErrors> {
    let files = Listing::new(files);
    let mut sources = Sources::default();
    let loaded = include::load(root_path, &files, context, &mut sources);
    finish(loaded, sources, &files, context)
}

/// Compiles the configuration of a child pipeline: the files of `trigger:include`, merged as if one file included them.
///
/// `asked_by` is the place of the job that starts it. Files that a job made are asked for as
/// [`Foreign::Artifact`](super::Foreign::Artifact).
///
/// # Errors
/// As [`compile`].
pub fn compile_child(
    includes: &[ChildInclude],
    asked_by: &Span,
    files: &dyn ProjectFiles,
    context: &Context,
) -> Result<Config, CompileErrors> {
    let files = Listing::new(files);
    let mut sources = Sources::default();
    let scope =
        Scope::new(&context.variables).map_err(|error| CompileError::new(asked_by, error.to_string()))?;
    let includes: Vec<Include> =
        includes.iter().map(|child| Include::of_child(child, &scope, asked_by)).collect();
    let loaded = include::load_all(&includes, asked_by, &files, context, &mut sources);
    finish(loaded, sources, &files, context)
}

/// Everything after the files are read.
fn finish(
    loaded: Result<Loaded, Vec<CompileError>>,
    sources: Sources,
    files: &Listing<'_>,
    context: &Context,
) -> Result<Config, CompileErrors> {
    let mut origin = Origin { sources, ..Origin::default() };
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(errors) => {
            CompileErrors::check(errors).map_err(|errors| errors.or_code(Code::Include).explain(&origin))?;
            return Err(CompileError::new(&Span::default(), "no file was read").into());
        }
    };
    origin.tree = loaded.root.clone();
    let origin = Arc::new(origin);
    // Without an include the rest may not fit together: then the include is to blame first.
    let left_out = loaded.left_out.clone();
    compile_merged(loaded, files, context, &origin).map_err(|errors| errors.blame(&left_out).explain(&origin))
}

fn compile_merged(
    loaded: Loaded,
    files: &Listing<'_>,
    context: &Context,
    origin: &Arc<Origin>,
) -> Result<Config, CompileErrors> {
    let phase =
        |errors: Vec<CompileError>, code| CompileErrors::check(errors).map_err(|errors| errors.or_code(code));
    let (extended, errors) = extends::resolve(&loaded.root, &loaded.span);
    phase(errors, Code::Extends)?;
    let (tree, errors) = reference::resolve(&extended, &loaded.span);
    phase(errors, Code::Reference)?;

    let left_out = loaded.left_out.iter().map(|include| format!("{include}: left out"));
    let notes = loaded.notes.into_iter().chain(left_out).collect();
    let mut check = Check { notes, needs_limit: context.needs_limit, ..Check::default() };
    let mut root = root::root(&mut check, &tree, &loaded.span);
    let mistakes = std::mem::take(&mut check.errors);
    let (mut planned, instances) = graph::plan(&mut check, &mut root);
    graph::validate(&mut check, &planned, &instances, &root);
    let of_graph = std::mem::take(&mut check.errors).into_iter().map(|error| error.or_code(Code::Graph));
    phase(mistakes.into_iter().chain(of_graph).collect(), Code::Keyword)?;

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
    let known = || context.variables.iter().chain(&root.variables);
    let compared = compared(rules(), known());
    let foreign = foreign(rules(), known(), files)?;
    let mut warnings = check.warnings;
    for warning in &mut warnings {
        origin.explain(warning);
    }
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
        foreign,
        compared,
        notes,
        warnings,
        origin: origin.clone(),
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

    /// What is allowed and probably not meant, in the form of mistakes: for those who look at the file, not for those who run it.
    pub fn warnings(&self) -> impl Iterator<Item = &CompileError> {
        self.warnings.iter()
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

/// Files of the projects in `rules:exists:project`, as far as they are known here.
fn foreign<'r>(
    rules: impl Iterator<Item = &'r Rule>,
    variables: impl Iterator<Item = &'r Variable>,
    files: &Listing<'_>,
) -> Result<ForeignFiles, CompileError> {
    let asked: Vec<&Exists> = rules.filter_map(|rule| rule.clauses.exists.as_ref()).collect();
    let mut found = ForeignFiles::new();
    if asked.iter().all(|exists| exists.project.is_none()) {
        return Ok(found);
    }
    let scope = Scope::new(variables).unwrap_or_default();
    for exists in asked {
        let Some(project) = &exists.project else { continue };
        let project = scope.expand(project);
        let git_ref = exists.git_ref.as_ref().map(|git_ref| scope.expand(git_ref));
        let key = (project, git_ref);
        if found.contains_key(&key) || found.len() >= MAX_FOREIGN {
            continue;
        }
        if let Some(listed) = files.list_foreign(&key.0, key.1.as_deref(), &exists.span)? {
            found.insert(key, listed);
        }
    }
    Ok(found)
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
