//! From a configuration to a pipeline: workflow rules, then the rules of every job.

mod decide;
mod explain;
mod pipeline;
mod policy;

pub use explain::{ClauseTrace, Explanation, RuleTrace, Verdict};
pub use pipeline::EvaluateError;
