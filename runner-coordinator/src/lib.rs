//! GitLab's side of the Runner API in one process, and the compiler from `.gitlab-ci.yml` to jobs.

pub mod core;
pub mod http;
pub mod pipeline;
pub mod run;

pub use crate::core::fault;
