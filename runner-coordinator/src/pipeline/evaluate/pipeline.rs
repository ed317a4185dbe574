//! Evaluating a whole configuration.

use std::collections::HashSet;

use super::super::config::Config;
use super::super::context::Facts;
use super::super::entries::variables::merge;
use super::super::error::{Code, CompileError, CompileErrors, MAX_ERRORS};
use super::super::expand::Scope;
use super::super::job::{Job, Variable};
use super::super::rules::{Rule, RuleWhen, World};
use super::super::span::Span;
use super::super::stages::{POST, PRE};
use super::super::{Pipeline, graph};
use super::decide::{Evaluation, split_user};

/// Why there is no pipeline.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// `workflow:rules` exclude it.
    #[error("Pipeline filtered out by workflow rules.")]
    FilteredByWorkflow,
    /// No job is left, or only jobs of `.pre` and `.post`.
    #[error(
        "Pipeline will not run for the selected trigger. The rules configuration prevented any jobs from being added to the pipeline."
    )]
    NoJobs,
    /// The pipeline would be invalid.
    #[error(transparent)]
    Invalid(#[from] CompileErrors),
}

impl From<CompileError> for EvaluateError {
    fn from(error: CompileError) -> Self {
        Self::Invalid(error.into())
    }
}

impl Config {
    /// Applies the rules: which jobs take part, when they start, with which variables and needs.
    ///
    /// # Errors
    /// [`EvaluateError::FilteredByWorkflow`] and [`EvaluateError::NoJobs`] when the rules leave nothing to run;
    /// [`EvaluateError::Invalid`] when a job needs one that the rules left out, when variables refer to each other in a
    /// circle, or when a job that takes part uses a keyword that cannot be honoured here.
    pub fn evaluate(&self, facts: &Facts) -> Result<Pipeline, EvaluateError> {
        self.evaluated(facts).map_err(|error| match error {
            EvaluateError::Invalid(errors) => {
                EvaluateError::Invalid(errors.or_code(Code::Rules).explain(&self.origin))
            }
            other => other,
        })
    }

    fn evaluated(&self, facts: &Facts) -> Result<Pipeline, EvaluateError> {
        let mut world = World::new(&self.tracked, facts.changed_files.as_deref(), &facts.changed_since);
        world.foreign = Some(&self.foreign);
        let rule = self.workflow_rule(facts, &world)?;
        let root_variables = merge(&self.variables, rule.map_or(&[], |rule| &rule.variables));
        let cancel_on_failure =
            rule.and_then(|rule| rule.cancel_on_failure).unwrap_or(self.workflow.cancel_on_failure);
        let name = match &self.workflow.name {
            Some(name) => {
                let name = self.pipeline_scope(facts, &root_variables)?.expand(name).trim().to_owned();
                (!name.is_empty()).then_some(name)
            }
            None => None,
        };
        let mut facts = facts.clone();
        if let Some(name) = &name {
            let value = name.clone();
            facts.predefined.push(Variable { key: "CI_PIPELINE_NAME".to_owned(), value, raw: false });
        }
        let evaluation = Evaluation::new(&facts, &world, &self.instances, &root_variables);
        let mut notes = self.notes.clone();
        let mut jobs = Vec::new();
        let mut errors = Vec::new();
        let mut told = HashSet::new();
        for planned in &self.planned {
            if errors.len() >= MAX_ERRORS {
                break;
            }
            match evaluation.decide(planned) {
                Ok(Some(job)) => {
                    // Instances of one job share what is refused.
                    if told.insert(&planned.job.base) {
                        errors.extend(planned.draft.unsupported.iter().cloned());
                    }
                    jobs.push(job);
                }
                Ok(None) => {}
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() && jobs.iter().all(|job| job.stage == PRE || job.stage == POST) {
            return Err(EvaluateError::NoJobs);
        }
        self.settle_names(&mut jobs, &mut errors);
        errors.dedup();
        CompileErrors::check(errors)?;
        notes.extend(world.into_notes());
        Ok(Pipeline { name, stages: self.stages.clone(), jobs, cancel_on_failure, notes })
    }

    /// The workflow rule that matches first; `None` without `workflow:rules`.
    pub(super) fn workflow_rule(
        &self,
        facts: &Facts,
        world: &World<'_>,
    ) -> Result<Option<&Rule>, EvaluateError> {
        let Some(rules) = &self.workflow.rules else { return Ok(None) };
        let scope = self.pipeline_scope(facts, &self.variables)?;
        for rule in rules {
            if rule.clauses.hold(&scope, world)? {
                return match rule.when {
                    Some(RuleWhen::Never) => Err(EvaluateError::FilteredByWorkflow),
                    _ => Ok(Some(rule)),
                };
            }
        }
        Err(EvaluateError::FilteredByWorkflow)
    }

    pub(super) fn pipeline_scope(
        &self,
        facts: &Facts,
        root_variables: &[Variable],
    ) -> Result<Scope, CompileError> {
        let (user, predefined) = split_user(&facts.predefined);
        let variables = predefined
            .into_iter()
            .chain(root_variables)
            .chain(user)
            .chain(&facts.project_variables)
            .chain(&facts.pipeline_variables);
        Scope::new(variables).map_err(|error| {
            let span = self.planned.first().map(|planned| planned.job.span.clone());
            let span = span.unwrap_or_else(|| Span { file: "".into(), line: 1, column: 1 });
            CompileError::new(&span, error.to_string())
        })
    }

    /// Drops names of optional needs and dependencies that were left out; any other need that was left out is an error.
    fn settle_names(&self, jobs: &mut [Job], errors: &mut Vec<CompileError>) {
        let present: HashSet<String> = jobs.iter().map(|job| job.name.clone()).collect();
        for job in jobs.iter_mut() {
            if errors.len() >= MAX_ERRORS {
                break;
            }
            if let Some(dependencies) = &mut job.dependencies {
                dependencies.retain(|dependency| present.contains(dependency));
            }
            let Some(needs) = &mut job.needs else { continue };
            needs.retain(|need| !need.optional || present.contains(&need.job));
            for need in needs.iter().filter(|need| !present.contains(&need.job)) {
                errors.push(graph::left_out(&job.name, &job.span, &need.job));
            }
        }
    }
}
