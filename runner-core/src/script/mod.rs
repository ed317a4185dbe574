//! Text for a shell, from the stages of a plan.
//!
//! A script holds no secret: variables that may be one, credentials and every word that contains a masked text travel beside
//! it as [`SecretVariable`](crate::executor::SecretVariable)s. Scripts are kept, shown and handed around; they may be.
//!
//! Where this differs from GitLab's own runner, on purpose: words are always between single quotes, which every shell reads
//! alike; texts are printed by `printf`, because some shells interpret what `echo` is given; the file of `GITLAB_ENV` may hold
//! comments, blank lines and a last line without end, and a bad line of it is a warning; variables whose name no shell accepts
//! are left out with a warning instead of failing every stage.
//!
//! ```
//! use runner_core::script::quote;
//!
//! assert_eq!(quote("it's"), r"'it'\''s'");
//! assert_eq!(quote("src/main.rs"), "src/main.rs");
//! ```

mod body;
mod envelope;
mod exports;
mod git_config;
mod quote;
mod render;
mod secrets;
mod user;

pub use quote::quote;
pub use render::{ScriptError, StageContext, render};
