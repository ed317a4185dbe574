#![doc = include_str!("README.md")]

mod action;
mod coverage;
mod error;
mod expand;
mod facts;
mod graph;
mod id_tokens;
mod launch;
mod machine;
mod node;
mod payload;
pub mod predefined;
mod remote;
mod retry;
mod select;
mod settings;
mod slug;
mod status;
mod variable;
mod variables;
mod view;

pub use crate::core::{Dotenv, DotenvError, parse_dotenv};
pub use action::{Action, ArchiveInfo, End, Finished, Host};
pub use coverage::coverage;
pub use error::{PlayError, RunError};
pub use expand::{ExpandError, sort_and_expand};
pub use facts::{Facts, GitRef, MergeRequest, User};
pub use machine::PipelineRun;
pub use remote::Remote;
pub use select::Selection;
pub use settings::{Play, RunnerFacts, Settings};
pub use slug::{environment_slug, slug};
pub use status::{Start, Status, StatusSet, start};
pub use variable::JobVariable;
pub use variables::{Definition, Level};
pub use view::{JobView, Outcome, Try};
