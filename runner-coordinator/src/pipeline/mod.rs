//! From `.gitlab-ci.yml` to jobs.
//!
//! ```text
//! text ─► YAML tree with spans ─► includes ─► extends ─► !reference ─► entries ─► Config ─► rules ─► Pipeline
//! ```
//!
//! No I/O happens here: files come in through [`ProjectFiles`], also those of other projects, addresses and the server's
//! templates; facts about the commit come in through [`Context`] and [`Facts`].
//!
//! - [`compile`] reads, includes, merges and checks. Its result, [`Config`], holds every visible job, whatever its rules
//!   say. The mistakes of a phase are collected; the next phase is not begun with them.
//! - [`Config::evaluate`] applies `workflow`, `rules`, `only` and `except` to the facts and returns a [`Pipeline`].
//! - [`Config::explain`] tells why a job is in or out, rule by rule, with the values that decide.
//! - [`compile_child`] does the same for the files of `trigger:include`, when the job that starts them runs.
//! - Every mistake names file, line and column of the key or value that is to blame, also where that was inherited, and
//!   has GitLab's text, so that it can be searched for. `{:#}` shows the line, a caret, and the way through `include` and
//!   `extends`; its [`Code`] is for programs.
//! - Nothing is dropped silently. A keyword that only a server could give a meaning is counted in the notes; one that a
//!   job cannot do without is an error as soon as the job takes part in a pipeline.
//!
//! # Limits
//!
//! Any text is safe to compile. What GitLab limits has GitLab's limits; what multiplies has more:
//!
//! | What | Limit |
//! | --- | --- |
//! | one file; all files together | 4 MiB; 32 MiB |
//! | nodes of one file with its aliases written out; of the merged configuration | 250,000; 1,000,000 |
//! | nesting of lists and hashes; of lists in scripts and rules | 100; 10 |
//! | files included, nesting of includes | 150, 50 |
//! | ancestors of a job through `extends` | 10 |
//! | nesting while `!reference` is followed | 200 |
//! | text that inputs insert into one file | 8 MiB |
//! | visible jobs; instances of one; all compiled jobs | 10,000; 200; 256 MiB |
//! | tokens of an `if`; a compiled regular expression | 100; 1 MiB, in linear time |
//! | comparisons of one `changes` or `exists` | 50,000, then it holds |
//! | alternatives that the braces of one path stand for | 1,000 in 64 KiB, then it matches |
//! | one variable after expansion; all of a job; those of all jobs | 1 MiB; 16 MiB, chains of 100; 256 MiB |
//! | mistakes that are collected | 100 |
//!
//! The keywords and their meaning: <https://docs.gitlab.com/ci/yaml/>.
//!
//! ```
//! use runner_coordinator::pipeline::{Context, Facts, ProjectFiles, compile};
//!
//! struct OneFile;
//!
//! impl ProjectFiles for OneFile {
//!     fn read(&self, path: &str) -> std::io::Result<Option<String>> {
//!         let text = "
//! .base: {stage: build, script: [make]}
//! linux: {extends: .base, parallel: 2}
//! deploy: {stage: deploy, script: [./deploy], rules: [{if: $CI_COMMIT_TAG}]}
//! ";
//!         Ok((path == ".gitlab-ci.yml").then(|| text.to_owned()))
//!     }
//!
//!     fn list(&self) -> std::io::Result<Vec<String>> {
//!         Ok(vec![".gitlab-ci.yml".to_owned()])
//!     }
//! }
//!
//! let config = compile(".gitlab-ci.yml", &OneFile, &Context::default())?;
//! assert_eq!(config.jobs().count(), 3);
//!
//! let pipeline = config.evaluate(&Facts::push("main"))?;
//! let names: Vec<&str> = pipeline.jobs.iter().map(|job| job.name.as_str()).collect();
//! assert_eq!(names, ["linux 1/2", "linux 2/2"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod check;
mod config;
mod context;
pub(crate) mod duration;
mod entries;
mod error;
mod evaluate;
mod expand;
mod expression;
mod extends;
mod files;
mod foreign;
mod glob;
mod graph;
mod include;
mod job;
mod merge;
mod reference;
mod rules;
mod span;
mod stages;
mod suggest;
mod yaml;

pub use config::{Config, compile, compile_child};
pub use context::{Context, Facts, RefKind};
pub use error::{Code, CompileError, CompileErrors, Excerpt, Step};
pub use evaluate::{ClauseTrace, EvaluateError, Explanation, RuleTrace, Verdict};
pub use foreign::{Foreign, Found};
pub use job::{
    AllowFailure, Artifacts, Cache, CacheKey, ChildInclude, ChildSource, ForeignNeed, Forward, IdToken,
    Image, Job, JobEnvironment, JobInput, KeepWhen, Need, Node, Release, Report, Retry, Secret, Service,
    Trigger, TriggerTarget, Variable, When, Work,
};
pub use span::Span;

pub(crate) use expression::Pattern;

/// Read access to the files of the project at the commit for which the pipeline is compiled.
///
/// Paths are relative to the root of the repository, without a leading `/`.
pub trait ProjectFiles {
    /// The text of a file; `None` when there is no such file.
    ///
    /// # Errors
    /// When the file exists but cannot be read as UTF-8 text.
    fn read(&self, path: &str) -> std::io::Result<Option<String>>;

    /// All files of the commit, in any order: what wildcards in `include:local` and `rules:exists` see.
    fn list(&self) -> std::io::Result<Vec<String>>;

    /// A file that does not lie in the project. `None`, the default, when this host has no way to get such files: the
    /// configuration is then refused, or compiled without it if [`Context::skip_missing_includes`] says so.
    ///
    /// # Errors
    /// When it was looked for and not found, or could not be read; the text says why.
    fn foreign(&self, wanted: &Foreign<'_>) -> std::io::Result<Option<Found>> {
        let _ = wanted;
        Ok(None)
    }

    /// All files of another project: what wildcards of its files and `rules:exists:project` see. `None`, the default, when
    /// they are not known here.
    ///
    /// # Errors
    /// When the project is known and cannot be read.
    fn list_foreign(&self, project: &str, git_ref: Option<&str>) -> std::io::Result<Option<Vec<String>>> {
        let _ = (project, git_ref);
        Ok(None)
    }
}

/// A pipeline that is ready to run: the jobs that its rules let in.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    /// `workflow:name`, expanded.
    pub name: Option<String>,
    /// All stages in order, `.pre` and `.post` included.
    pub stages: Vec<String>,
    /// The jobs, ordered by stage and then as written.
    pub jobs: Vec<Job>,
    /// `workflow:auto_cancel:on_job_failure: all`: the first failure that counts cancels everything else.
    pub cancel_on_failure: bool,
    /// Things worth telling the user once: keywords without effect here, guesses.
    pub notes: Vec<String>,
}
