//! A local pipeline: compile, serve the sources, run the jobs over real HTTP, show what happens.
//!
//! ```text
//! checkout ─► snapshot ─► bare repository in the run's folder ◄── git fetch ── job
//!                │                                                              ▲
//!                ▼                                                              │ processes
//! file ─► compile ─► PipelineRun ─► coordinator (127.0.0.1) ◄── HTTP ── manager + shell executor
//!                        ▲                 │ events
//!                        └── session ◄─────┴──► screen, summary
//! ```

mod artifacts;
mod children;
mod clean;
mod compile;
mod ending;
mod error;
mod explain;
mod git;
mod graph;
mod host;
mod lint;
mod list;
mod look;
mod outside;
mod project;
mod question;
mod report;
mod resources;
mod results;
mod run;
mod runner;
mod session;
mod source;
mod state;
mod stop;
mod supplied;
mod terminal;
mod ui;
mod variables;
mod watch;

pub(crate) use error::ExecError;
pub(crate) use git::REDIRECTING;
pub(crate) use lint::lint;
pub(crate) use run::{Surroundings, run};
