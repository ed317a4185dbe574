//! The job's variables: where they come from, which one wins, how they are expanded, and what is read from them.
//!
//! ```text
//! flags ─┐
//! runner ├─► Variables (ordered, expanded; the last entry of a name wins) ─► JobOptions · FeatureFlags · JobDirs
//! job    │
//! after ─┘
//! ```
//!
//! Values are secrets until proven otherwise: no type here shows one in `Debug`.

mod build;
mod dirs;
mod duration;
mod expand;
mod feature_flags;
mod list;
mod options;
mod parse;
mod secrets;
mod variable;

pub use build::{Program, TlsFiles, VariableInputs};
pub use dirs::{DirsError, JobDirs};
pub use feature_flags::names as flags;
pub use feature_flags::{FEATURE_FLAGS, FeatureFlag, FeatureFlags, Support};
pub use list::{JobStatus, Variables};
pub use options::{GitStrategy, JobOptions, OptionDefaults, SubmoduleStrategy};
pub use variable::Variable;

pub(crate) use duration::format as format_duration;
pub(crate) use secrets::{authority, split_scheme, split_user_info};
pub(crate) use variable::is_shell_name;
