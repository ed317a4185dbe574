//! From files and facts to a pipeline.

use std::time::SystemTime;

use runner_coordinator::pipeline::{self, ChildInclude, Config, Context, Pipeline, Span, Variable};
use runner_coordinator::run::{Facts, JobVariable};

use super::ExecError;
use super::source::{Changes, CommitFacts, Files, since};
use super::variables::Given;
use crate::exec::git::Git;

/// What the compiler needs beside the files.
#[derive(Debug)]
pub(super) struct Inputs<'a> {
    pub(super) facts: &'a Facts,
    pub(super) changes: &'a Changes,
    pub(super) variables: &'a Given,
    /// Values for `spec:inputs` of the root file.
    pub(super) inputs: &'a [(String, String)],
    /// Git that sees the commit, for `compare_to`; `None` outside of a repository.
    pub(super) git: Option<&'a Git>,
    pub(super) leniency: Leniency,
}

/// What is not refused.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leniency {
    /// Includes that need a server: they are left out with a note.
    pub(super) missing_includes: bool,
    /// So many `needs` of one job, instead of GitLab's default.
    pub(super) needs: Option<usize>,
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
        // Only a push has moved the ref from somewhere.
        before_sha: match session.source.as_str() {
            "push" => commit.before_sha.clone(),
            _ => "0".repeat(commit.sha.len()),
        },
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
    let mut context = inputs.context();
    context.inputs = inputs.inputs.iter().cloned().collect();
    Ok(pipeline::compile(&inputs.facts.config_path, files, &context)?)
}

/// Compiles the configuration of a child pipeline.
pub(super) fn compile_child(
    includes: &[ChildInclude],
    asked_by: &Span,
    files: &Files,
    inputs: &Inputs<'_>,
) -> Result<Config, ExecError> {
    Ok(pipeline::compile_child(includes, asked_by, files, &inputs.context())?)
}

impl Inputs<'_> {
    fn context(&self) -> Context {
        let mut context = Context::from(self.facts);
        context.variables.extend(plain(&self.variables.project));
        context.variables.extend(plain(&self.variables.pipeline));
        context.changed_files = self.changes.files.clone();
        context.skip_missing_includes = self.leniency.missing_includes;
        context.needs_limit = self.leniency.needs;
        context
    }

    /// What the rules are applied to.
    pub(super) fn known(&self, config: &Config) -> pipeline::Facts {
        let mut known = pipeline::Facts::from(self.facts);
        known.project_variables = plain(&self.variables.project);
        known.pipeline_variables = plain(&self.variables.pipeline);
        known.changed_files = self.changes.files.clone();
        if let Some(git) = self.git {
            for name in config.compared_refs() {
                if let Some(files) = since(git, name, &self.facts.sha) {
                    known.changed_since.insert(name.to_owned(), files);
                }
            }
        }
        known
    }
}

/// Applies the rules.
pub(super) fn evaluate(config: &Config, inputs: &Inputs<'_>) -> Result<Pipeline, pipeline::EvaluateError> {
    config.evaluate(&inputs.known(config))
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
