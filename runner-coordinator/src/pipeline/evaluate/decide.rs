//! Whether one job takes part, and how.

use std::cell::Cell;
use std::fmt::Display;

use super::super::context::Facts;
use super::super::entries::variables::merge;
use super::super::error::CompileError;
use super::super::expand::Scope;
use super::super::graph::{Instances, Planned, resolve_needs};
use super::super::job::{AllowFailure, Job, Variable, When};
use super::super::rules::{Rule, RuleWhen, World};
use super::policy;
use crate::run::predefined::{EnvironmentFacts, JobFacts, of_job};

/// Values that are expanded for all jobs of a pipeline together, in bytes. Variables that multiply cannot be multiplied by the
/// number of jobs.
const MAX_EXPANDED: usize = 256 * 1024 * 1024;

/// What is the same for all jobs of a pipeline.
pub(super) struct Evaluation<'e> {
    facts: &'e Facts,
    world: &'e World<'e>,
    instances: &'e Instances,
    /// Variables of the top level, with those of the workflow rule that matched.
    root_variables: &'e [Variable],
    /// What has been expanded so far, in bytes.
    expanded: Cell<usize>,
}

impl<'e> Evaluation<'e> {
    pub(super) fn new(
        facts: &'e Facts,
        world: &'e World<'e>,
        instances: &'e Instances,
        root_variables: &'e [Variable],
    ) -> Self {
        Self { facts, world, instances, root_variables, expanded: Cell::default() }
    }

    /// The job as it takes part; `None` when it does not.
    pub(super) fn decide(&self, planned: &Planned) -> Result<Option<Job>, CompileError> {
        let draft = &planned.draft;
        let mut job = planned.job.clone();
        job.variables = self.variables(planned);
        let scope = self.scope(&job)?;
        let Some(rules) = &draft.rules else {
            let in_pipeline =
                policy::lets_in(draft.only.as_ref(), draft.except.as_ref(), self.facts, &scope, self.world)?;
            return Ok(in_pipeline.then_some(job));
        };
        match self.first_match(rules, &job.name, &scope)? {
            Some(rule) if rule.when != Some(RuleWhen::Never) => {
                self.apply(rule, &mut job, planned)?;
                Ok(Some(job))
            }
            _ => Ok(None),
        }
    }

    /// The variables that the rules of a job see.
    pub(super) fn scope_of(&self, planned: &Planned) -> Result<Scope, CompileError> {
        let mut job = planned.job.clone();
        job.variables = self.variables(planned);
        self.scope(&job)
    }

    fn variables(&self, planned: &Planned) -> Vec<Variable> {
        let draft = &planned.draft;
        let inherited: Vec<Variable> = self
            .root_variables
            .iter()
            .filter(|variable| draft.inherit_variables.allows(&variable.key))
            .cloned()
            .collect();
        merge(&merge(&inherited, &draft.variables), &planned.matrix)
    }

    fn first_match<'r>(
        &self,
        rules: &'r [Rule],
        name: &str,
        scope: &Scope,
    ) -> Result<Option<&'r Rule>, CompileError> {
        for rule in rules {
            let holds = rule.clauses.hold(scope, self.world).map_err(|mut error| {
                error.message = format!("Failed to parse rule for {name}: {}", error.message);
                error
            })?;
            if holds {
                return Ok(Some(rule));
            }
        }
        Ok(None)
    }

    /// What the matching rule changes.
    fn apply(&self, rule: &Rule, job: &mut Job, planned: &Planned) -> Result<(), CompileError> {
        if let Some(RuleWhen::Start(when)) = rule.when {
            job.when = when;
        }
        job.start_in = if job.when == When::Delayed { rule.start_in.or(job.start_in) } else { None };
        if let Some(allow) = rule.allow_failure {
            job.allow_failure = if allow { AllowFailure::Yes } else { AllowFailure::No };
        }
        if let Some(interruptible) = rule.interruptible {
            job.interruptible = interruptible;
        }
        if let Some(needs) = &rule.needs {
            let matrix = planned
                .matrix
                .iter()
                .map(|variable| (variable.key.clone(), variable.value.clone()))
                .collect();
            job.needs = Some(resolve_needs(needs, self.instances, &matrix)?);
        }
        if !rule.variables.is_empty() {
            job.variables = merge(&job.variables, &rule.variables);
        }
        Ok(())
    }

    /// The variables that rules see.
    fn scope(&self, job: &Job) -> Result<Scope, CompileError> {
        let own = own_variables(job);
        let (user, predefined) = split_user(&self.facts.predefined);
        let variables = predefined
            .into_iter()
            .chain(&own)
            .chain(&job.variables)
            .chain(user)
            .chain(&self.facts.project_variables)
            .chain(&self.facts.pipeline_variables);
        let refuse = |reason: &dyn Display| CompileError::new(&job.span, format!("{}: {reason}", job.name));
        let scope = Scope::new(variables).map_err(|error| refuse(&error))?;
        self.expanded.set(self.expanded.get().saturating_add(scope.weight()));
        if self.expanded.get() > MAX_EXPANDED {
            return Err(refuse(&"the variables of all jobs together become too long when they are expanded"));
        }
        Ok(scope)
    }
}

/// Predefined variables of the job itself.
fn own_variables(job: &Job) -> Vec<Variable> {
    of_job(&JobFacts {
        name: &job.name,
        stage: &job.stage,
        manual: matches!(job.when, When::Manual | When::Delayed),
        node: job.node,
        environment: job.environment.as_ref().map(|environment| EnvironmentFacts {
            name: &environment.name,
            action: &environment.action,
            tier: environment.tier.as_deref(),
        }),
    })
}

/// Variables about the user, which configurations cannot override, and the other predefined ones.
pub(super) fn split_user(predefined: &[Variable]) -> (Vec<&Variable>, Vec<&Variable>) {
    predefined.iter().partition(|variable| variable.key.starts_with("GITLAB_USER_"))
}
