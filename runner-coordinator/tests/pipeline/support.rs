//! Compiling from texts.
#![expect(clippy::panic, clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::BTreeMap;
use std::io;

use runner_coordinator::pipeline::{
    Config, Context, EvaluateError, Facts, Job, Pipeline, ProjectFiles, Variable, Work, compile,
};

pub(crate) const ROOT: &str = ".gitlab-ci.yml";

/// Files by path.
#[derive(Default)]
pub(crate) struct Files(pub(crate) BTreeMap<String, String>);

impl ProjectFiles for Files {
    fn read(&self, path: &str) -> io::Result<Option<String>> {
        Ok(self.0.get(path).cloned())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.keys().rev().cloned().collect())
    }
}

pub(crate) fn files(pairs: &[(&str, &str)]) -> Files {
    Files(pairs.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
}

pub(crate) fn variable(key: &str, value: &str) -> Variable {
    Variable { key: key.to_owned(), value: value.to_owned(), raw: false }
}

/// Compiles one file.
pub(crate) fn config(text: &str) -> Config {
    try_files(&[(ROOT, text)]).unwrap_or_else(|errors| panic!("{}", errors.join("\n")))
}

/// The mistakes of one file, one line each.
pub(crate) fn errors(text: &str) -> Vec<String> {
    try_files(&[(ROOT, text)]).unwrap_err()
}

/// The only mistake of one file.
pub(crate) fn error(text: &str) -> String {
    let errors = errors(text);
    assert_eq!(errors.len(), 1, "{errors:#?}");
    errors[0].clone()
}

/// Compiles several files, the root file first. If that has a header, its input `x` is `b`.
pub(crate) fn try_files(pairs: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let mut context = Context::new(vec![variable("CI_COMMIT_BRANCH", "main"), variable("DIR", "ci")]);
    if pairs[0].1.starts_with("spec:") {
        context.inputs.insert("x".to_owned(), "b".to_owned());
    }
    compile(ROOT, &files(pairs), &context)
        .map_err(|errors| errors.to_string().lines().map(str::to_owned).collect())
}

/// `name(stage)` of every job.
pub(crate) fn names(config: &Config) -> Vec<String> {
    config.jobs().map(|job| format!("{}({})", job.name, job.stage)).collect()
}

pub(crate) fn job<'c>(config: &'c Config, name: &str) -> &'c Job {
    config.jobs().find(|job| job.name == name).unwrap_or_else(|| panic!("no job {name}"))
}

pub(crate) fn script(job: &Job) -> &[String] {
    match &job.work {
        Work::Script { script, .. } => script,
        Work::Trigger(_) => panic!("{} runs no script", job.name),
    }
}

/// `KEY=value` of a job's variables.
pub(crate) fn variables(job: &Job) -> Vec<String> {
    job.variables.iter().map(|variable| format!("{}={}", variable.key, variable.value)).collect()
}

/// Facts of a push to the default branch.
pub(crate) fn push() -> Facts {
    let mut facts = Facts::push("main");
    facts.project_path = "group/project".to_owned();
    facts.predefined = vec![
        variable("CI", "true"),
        variable("CI_PIPELINE_SOURCE", "push"),
        variable("CI_COMMIT_BRANCH", "main"),
        variable("CI_DEFAULT_BRANCH", "main"),
        variable("GITLAB_USER_LOGIN", "somebody"),
    ];
    facts
}

/// The pipeline of a push.
pub(crate) fn pipeline(text: &str) -> Pipeline {
    config(text).evaluate(&push()).unwrap()
}

/// Names of the jobs that take part.
pub(crate) fn present(text: &str, facts: &Facts) -> Vec<String> {
    match config(text).evaluate(facts) {
        Ok(pipeline) => pipeline.jobs.into_iter().map(|job| job.name).collect(),
        Err(EvaluateError::NoJobs) => Vec::new(),
        Err(error) => panic!("{error}"),
    }
}
