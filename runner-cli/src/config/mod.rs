//! `config.toml`: the file of the official runner, read with errors that point, written without losing what a person wrote.
//!
//! ```text
//! text ─► Document (positions) ─► raw::Config (as written) ─► resolve ─► settings (defaults applied, one per entry)
//!   ▲            └─► unknown keys, keys not supported yet: said by name, with their line
//!   └── edit (toml_edit) ◄── register, unregister, verify --delete, reset-token
//! ```
//!
//! Keys and their meaning: GitLab documentation, "Advanced configuration" of GitLab Runner.

mod check;
mod date;
mod document;
mod duration;
mod edit;
mod entry;
mod error;
mod expand;
mod features;
mod load;
mod raw;
mod resolve;
mod sections;
mod store;
mod system_id;
#[cfg(test)]
mod tests;

pub(crate) use duration::RawDuration;
pub(crate) use edit::Edit;
pub(crate) use entry::NewEntry;
pub(crate) use error::ConfigError;
pub(crate) use load::Loaded;
pub(crate) use resolve::{Global, Resolved, Tls};
pub(crate) use sections::{Kind, SECTIONS, Section};
pub(crate) use store::default_path;
pub(crate) use system_id::SystemId;
