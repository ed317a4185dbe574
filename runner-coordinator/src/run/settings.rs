//! What a user asks of one run of a pipeline.

use std::time::Duration;

use super::facts::Facts;
use super::select::Selection;
use super::variable::JobVariable;

/// Settings of one run. Start from [`Settings::new`] and change what differs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What is known about repository, commit and user.
    pub facts: Facts,
    /// Which jobs run.
    pub selection: Selection,
    /// Which manual jobs are played as soon as they could be.
    pub play: Play,
    /// Starts delayed jobs at once.
    pub no_delay: bool,
    /// Skips jobs that trigger a pipeline of another project, instead of letting them succeed.
    pub skip_project_triggers: bool,
    /// The first failure that counts cancels everything else, also where the pipeline does not ask for it.
    pub cancel_on_failure: bool,
    /// Runs the step of `release` after the script, which calls a program that talks to the server. Without it the job only
    /// runs its script, and a note says what would be released.
    pub release: bool,
    /// Variables of instance, group and project: above those of the file.
    pub project_variables: Vec<JobVariable>,
    /// Variables of this pipeline, from the command line: above all others.
    pub pipeline_variables: Vec<JobVariable>,
    /// Tokens that jobs get in the place of those that their `id_tokens` ask for, by the names of the variables.
    pub id_tokens: Vec<JobVariable>,
    /// Timeout of jobs that do not give one.
    pub default_timeout: Duration,
    /// How many commits jobs fetch unless `GIT_DEPTH` says otherwise; 0 is all.
    pub git_depth: u32,
    /// The runner that takes the jobs.
    pub runner: RunnerFacts,
}

impl Settings {
    /// All jobs, no manual ones, GitLab's defaults for the rest.
    #[must_use]
    pub fn new(facts: Facts) -> Self {
        Self {
            facts,
            selection: Selection::All,
            play: Play::None,
            no_delay: false,
            skip_project_triggers: false,
            cancel_on_failure: false,
            release: false,
            project_variables: Vec::new(),
            pipeline_variables: Vec::new(),
            id_tokens: Vec::new(),
            default_timeout: Duration::from_secs(3600),
            git_depth: 20,
            runner: RunnerFacts::default(),
        }
    }
}

/// Which manual jobs are played without being asked for one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Play {
    /// None.
    None,
    /// Every one.
    All,
    /// Those with these names; the name of a `parallel` job stands for all its instances.
    Named(Vec<String>),
}

/// The runner as the variables of a job describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerFacts {
    /// `CI_RUNNER_ID`.
    pub id: u64,
    /// `CI_RUNNER_DESCRIPTION`.
    pub description: String,
    /// `CI_RUNNER_TAGS`.
    pub tags: Vec<String>,
    /// `runner_info.uuid` of payloads.
    pub uuid: String,
}

impl Default for RunnerFacts {
    fn default() -> Self {
        Self { id: 1, description: "local".to_owned(), tags: Vec::new(), uuid: String::new() }
    }
}
