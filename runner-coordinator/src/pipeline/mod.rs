//! From `.gitlab-ci.yml` to jobs.
//!
//! ```text
//! text ─► YAML tree with spans ─► includes ─► extends ─► !reference ─► entries ─► Config ─► rules ─► Pipeline
//! ```
//!
//! No I/O happens here: files come in through [`ProjectFiles`], facts about the commit through the caller's variables.

mod check;
mod config;
mod context;
mod duration;
mod entries;
mod error;
mod evaluate;
mod expand;
mod expression;
mod extends;
mod files;
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
pub use context::{Context, Facts, RefKind, Unsupported};
pub use error::{CompileError, CompileErrors};
pub use evaluate::EvaluateError;
pub use job::{
    AllowFailure, Artifacts, Cache, CacheKey, Image, Job, JobEnvironment, KeepWhen, Need, Node, Report,
    Retry, Service, Trigger, TriggerTarget, Variable, When, Work,
};
pub use span::Span;

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
    /// Things worth telling the user once: keywords without effect here, guesses.
    pub notes: Vec<String>,
}
