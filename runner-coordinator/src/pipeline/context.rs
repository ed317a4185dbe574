//! What the compiler is told from outside.

use indexmap::IndexMap;

use super::job::Variable;
use crate::run::{self, GitRef, predefined};

/// What is known before the jobs are: needed for `include`.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Context {
    /// Variables that exist before the pipeline, in order of precedence, lowest first: predefined ones
    /// (`CI_COMMIT_BRANCH`, `CI_PIPELINE_SOURCE`, …), then those of the project and of the command line.
    pub variables: Vec<Variable>,
    /// Files that changed, for `include:rules:changes`. `None`: nothing to compare with, every clause holds.
    pub changed_files: Option<Vec<String>>,
    /// Values for `spec:inputs` of the root file.
    pub inputs: IndexMap<String, String>,
    /// Leave out includes that need a server, with a note, instead of failing.
    pub skip_missing_includes: bool,
    /// Most `needs` of one job; `None` is GitLab's default, 50. A server's administrator can set another
    /// (<https://docs.gitlab.com/administration/cicd/limits/>).
    pub needs_limit: Option<usize>,
}

impl Context {
    /// A context that knows variables only.
    #[must_use]
    pub fn new(variables: Vec<Variable>) -> Self {
        Self { variables, ..Self::default() }
    }
}

impl From<&run::Facts> for Context {
    /// The predefined variables; those of the project and of the command line are to be appended.
    fn from(facts: &run::Facts) -> Self {
        Self::new(predefined::pre(facts))
    }
}

/// What is known about the pipeline when the rules are evaluated.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Facts {
    /// Predefined variables in order of precedence, lowest first. Those that depend on the job (`CI_JOB_NAME`,
    /// `CI_NODE_INDEX`, …) are added per job. `GITLAB_USER_*` take precedence over variables of the configuration.
    pub predefined: Vec<Variable>,
    /// Variables of the project's settings: above those of the configuration.
    pub project_variables: Vec<Variable>,
    /// Variables of this pipeline, from the command line: above everything.
    pub pipeline_variables: Vec<Variable>,
    /// Source of the pipeline as in `CI_PIPELINE_SOURCE`: `push`, `schedule`, `merge_request_event`, …
    pub source: String,
    /// What the pipeline runs for.
    pub ref_kind: RefKind,
    /// Name of the branch or tag.
    pub ref_name: String,
    /// Full path of the project, for `only: [ref@group/project]`.
    pub project_path: String,
    /// Files that changed. `None`: nothing to compare with, every `changes` clause holds.
    pub changed_files: Option<Vec<String>>,
    /// Files that changed since other refs: what `rules:changes:compare_to` names, in the form after expansion.
    pub changed_since: IndexMap<String, Vec<String>>,
}

/// What a pipeline runs for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefKind {
    /// A branch.
    Branch,
    /// A tag.
    Tag,
    /// A merge request.
    MergeRequest,
}

impl Facts {
    /// Facts of a push to a branch.
    #[must_use]
    pub fn push(branch: &str) -> Self {
        Self {
            predefined: Vec::new(),
            project_variables: Vec::new(),
            pipeline_variables: Vec::new(),
            source: "push".to_owned(),
            ref_kind: RefKind::Branch,
            ref_name: branch.to_owned(),
            project_path: String::new(),
            changed_files: None,
            changed_since: IndexMap::new(),
        }
    }
}

impl From<&run::Facts> for Facts {
    /// Everything but variables of the project and of the command line, and what changed.
    fn from(facts: &run::Facts) -> Self {
        let mut predefined = predefined::pre(facts);
        predefined.extend(predefined::pipe(facts));
        Self {
            predefined,
            source: facts.source.clone(),
            ref_kind: match facts.git_ref {
                GitRef::Branch(_) => RefKind::Branch,
                GitRef::Tag { .. } => RefKind::Tag,
                GitRef::MergeRequest(_) => RefKind::MergeRequest,
            },
            project_path: facts.project().path,
            ..Self::push(facts.git_ref.name())
        }
    }
}
