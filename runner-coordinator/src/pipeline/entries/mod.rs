//! Reading keywords: from the merged tree to typed values, with all mistakes reported at once.

pub(crate) mod artifacts;
pub(crate) mod cache;
pub(crate) mod default;
pub(crate) mod environment;
pub(crate) mod image;
pub(crate) mod inherit;
pub(crate) mod job;
mod kind;
pub(crate) mod needs;
pub(crate) mod parallel;
pub(crate) mod policy;
pub(crate) mod retry;
pub(crate) mod root;
pub(crate) mod server;
mod start;
pub(crate) mod trigger;
pub(crate) mod variables;
pub(crate) mod workflow;
