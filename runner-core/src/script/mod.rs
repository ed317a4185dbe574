//! Text for a shell, from the stages of a plan.
//!
//! A script holds no secret: variables that may be one, credentials and every word that contains a masked text travel beside
//! it as [`SecretVariable`](crate::executor::SecretVariable)s. Scripts are kept, shown and handed around; they may be.
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
