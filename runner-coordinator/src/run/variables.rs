//! All variables of a job, in GitLab's order of precedence.

use std::time::SystemTime;

use super::expand::{self, ExpandError, sort_and_expand};
use super::predefined::{self, EnvironmentFacts, JobFacts};
use super::settings::Settings;
use super::slug::environment_slug;
use super::variable::JobVariable;
use crate::pipeline::{Job, JobEnvironment, When};

/// The try of a job that variables are made for.
#[derive(Debug, Clone, Copy)]
pub(super) struct TryFacts<'a> {
    pub(super) id: u64,
    pub(super) token: &'a str,
    pub(super) at: SystemTime,
}

impl TryFacts<'_> {
    /// For a look at variables before there is a try.
    pub(super) const NONE: Self = TryFacts { id: 0, token: "", at: SystemTime::UNIX_EPOCH };
}

/// Where a variable of a job comes from; a later level wins over an earlier one.
///
/// <https://docs.gitlab.com/ci/variables/#cicd-variable-precedence>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// GitLab's own.
    Predefined,
    /// The configuration: top level, workflow rule, job, matrix, rule.
    File,
    /// About the user who started the pipeline.
    User,
    /// `dotenv` reports of earlier jobs.
    Dotenv,
    /// Settings of the project.
    Project,
    /// This pipeline: the command line, or what a parent pipeline forwards.
    Pipeline,
    /// The job's environment.
    Environment,
}

/// A definition of a variable of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Definition {
    /// Where it comes from.
    pub level: Level,
    /// The variable; its value is expanded if the definition counts, and as written if another one wins over it.
    pub variable: JobVariable,
    /// Whether a later definition of the same name wins over it.
    pub overridden: bool,
}

/// Everything that the variables of a job come from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) settings: &'a Settings,
    pub(super) pipeline_name: Option<&'a str>,
    pub(super) job: &'a Job,
    pub(super) of_try: TryFacts<'a>,
    /// From the jobs whose artifacts this one gets, in their order.
    pub(super) dotenv: &'a [(String, String)],
}

impl Sources<'_> {
    /// The variables, each after those it refers to, references replaced as far as the server does it.
    pub(super) fn expanded(&self) -> Result<Vec<JobVariable>, ExpandError> {
        sort_and_expand(&self.in_order()?)
    }

    /// The variables, lowest precedence first, as written.
    pub(super) fn in_order(&self) -> Result<Vec<JobVariable>, ExpandError> {
        let Some(environment) = &self.job.environment else { return Ok(self.ordered(None)) };
        // The name of an environment may refer to any variable but those of the environment itself.
        let name = expand::expand(&environment.name, &sort_and_expand(&self.ordered(None))?);
        Ok(self.ordered(Some((environment, &name))))
    }

    /// Where each variable comes from, in the same order; what only a try has is left out.
    pub(super) fn levels(&self) -> Result<Vec<(Level, JobVariable)>, ExpandError> {
        let in_order = self.in_order()?;
        let facts = &self.settings.facts;
        let last = [
            (Level::Pipeline, self.settings.pipeline_variables.len()),
            (Level::Project, self.settings.project_variables.len()),
            (Level::Dotenv, self.dotenv.len()),
            (Level::User, predefined::of_user(facts).len()),
            (Level::File, self.job.variables.len()),
        ];
        let of_environment = match &self.job.environment {
            Some(environment) => 1 + usize::from(environment.url.is_some()),
            None => 0,
        };
        // Counted from the end: there the groups follow each other.
        let mut levels = vec![Level::Environment; of_environment];
        for (level, count) in last {
            levels.extend(std::iter::repeat_n(level, count));
        }
        levels.resize(in_order.len(), Level::Predefined);
        levels.reverse();
        Ok(levels.into_iter().zip(in_order).skip(predefined::PERSISTED).collect())
    }

    fn ordered(&self, environment: Option<(&JobEnvironment, &str)>) -> Vec<JobVariable> {
        let Self { settings, job, of_try, .. } = self;
        let facts = &settings.facts;
        let job_facts = JobFacts {
            name: &job.name,
            stage: &job.stage,
            manual: matches!(job.when, When::Manual | When::Delayed),
            node: job.node,
            environment: environment.map(|(environment, name)| EnvironmentFacts {
                name,
                action: &environment.action,
                tier: environment.tier.as_deref(),
            }),
        };
        let mut all = predefined::persisted(facts, of_try.id, of_try.token, of_try.at);
        let mut add = |variables: Vec<_>| all.extend(variables.iter().map(JobVariable::from));
        add(predefined::of_job(&job_facts));
        add(predefined::of_project(facts));
        add(predefined::of_pipeline(facts));
        add(predefined::of_commit(facts));
        if let Some(name) = self.pipeline_name {
            all.push(JobVariable::new("CI_PIPELINE_NAME", name));
        }
        let runner = &settings.runner;
        all.push(JobVariable::new("CI_RUNNER_ID", runner.id.to_string()));
        all.push(JobVariable::new("CI_RUNNER_DESCRIPTION", &runner.description));
        all.push(JobVariable::new(
            "CI_RUNNER_TAGS",
            serde_json::Value::from(runner.tags.clone()).to_string(),
        ));
        all.extend(job.variables.iter().map(JobVariable::from));
        all.extend(predefined::of_user(facts).iter().map(JobVariable::from));
        all.extend(self.dotenv.iter().map(|(key, value)| JobVariable::new(key, value)));
        all.extend(settings.project_variables.iter().cloned());
        all.extend(settings.pipeline_variables.iter().cloned());
        if let Some((environment, name)) = environment {
            all.push(JobVariable::new("CI_ENVIRONMENT_SLUG", environment_slug(name)));
            if let Some(url) = &environment.url {
                all.push(JobVariable::new("CI_ENVIRONMENT_URL", url));
            }
        }
        all
    }
}
