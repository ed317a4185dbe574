//! From files and facts to a pipeline.

use std::time::SystemTime;

use runner_coordinator::pipeline::{self, Config, Context, Pipeline, Unsupported, Variable};
use runner_coordinator::run::{Facts, JobVariable};

use super::ExecError;
use super::source::{Changes, CommitFacts, Files, since};
use crate::exec::git::Git;

/// What the compiler needs beside the files.
#[derive(Debug)]
pub(super) struct Inputs<'a> {
    pub(super) facts: &'a Facts,
    pub(super) changes: &'a Changes,
    pub(super) variables: &'a [JobVariable],
    /// Git that sees the commit, for `compare_to`; `None` outside of a repository.
    pub(super) git: Option<&'a Git>,
    pub(super) leniency: Leniency,
}

/// What is left out with a note instead of being refused.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leniency {
    /// Includes that need a server.
    pub(super) missing_includes: bool,
    /// Keywords that cannot be honoured here.
    pub(super) unsupported: bool,
}

/// What the session knows beside git.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) source: String,
    pub(super) config_path: String,
    pub(super) pipeline: u64,
    pub(super) server_url: String,
    pub(super) repository_url: String,
}

/// Puts the facts of a pipeline together.
pub(super) fn facts(commit: &CommitFacts, session: Session) -> Facts {
    Facts {
        remote: commit.remote.clone(),
        directory: commit.directory.clone(),
        git_ref: commit.git_ref.clone(),
        sha: commit.sha.clone(),
        before_sha: commit.before_sha.clone(),
        message: commit.message.clone(),
        author: commit.author.clone(),
        timestamp: commit.timestamp.clone(),
        default_branch: commit.default_branch.clone(),
        config_path: session.config_path,
        protected: commit.protected(),
        source: session.source,
        pipeline_id: session.pipeline,
        pipeline_iid: session.pipeline,
        created_at: SystemTime::now(),
        server_url: session.server_url,
        repository_url: session.repository_url,
        object_format: commit.object_format.clone(),
        registry: None,
        user: commit.user.clone(),
    }
}

/// Compiles the configuration; rules of jobs are not looked at.
pub(super) fn compile(files: &Files, inputs: &Inputs<'_>) -> Result<Config, ExecError> {
    let mut context = Context::from(inputs.facts);
    context.variables.extend(plain(inputs.variables));
    context.changed_files = inputs.changes.files.clone();
    context.skip_missing_includes = inputs.leniency.missing_includes;
    Ok(pipeline::compile(&inputs.facts.config_path, files, &context)?)
}

/// Applies the rules.
pub(super) fn evaluate(config: &Config, inputs: &Inputs<'_>) -> Result<Pipeline, pipeline::EvaluateError> {
    let mut known = pipeline::Facts::from(inputs.facts);
    known.pipeline_variables = plain(inputs.variables);
    known.changed_files = inputs.changes.files.clone();
    if inputs.leniency.unsupported {
        known.unsupported = Unsupported::Note;
    }
    if let Some(git) = inputs.git {
        for name in config.compared_refs() {
            if let Some(files) = since(git, name, &inputs.facts.sha) {
                known.changed_since.insert(name.to_owned(), files);
            }
        }
    }
    config.evaluate(&known)
}

fn plain(variables: &[JobVariable]) -> Vec<Variable> {
    variables
        .iter()
        .map(|variable| Variable {
            key: variable.key.clone(),
            value: variable.value.clone(),
            raw: variable.raw,
        })
        .collect()
}
