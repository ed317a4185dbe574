//! From a configuration to a pipeline: workflow rules, then the rules of every job.

mod decide;
mod pipeline;
mod policy;

pub use pipeline::EvaluateError;
