//! YAML as GitLab reads it: a tree in which every key and value knows where it is written.
//!
//! The events come from `saphyr-parser`; the meaning of scalars follows YAML 1.1, because GitLab's library does:
//! <https://yaml.org/type/>. Anchors, aliases and merge keys are resolved here, per file.

mod advice;
mod build;
mod map;
mod node;
mod scalar;
mod source;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use build::Document;
pub(crate) use build::parse;
pub(crate) use node::{Entry, MAX_DEPTH, Map, Node, Value};
