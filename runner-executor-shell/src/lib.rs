//! Runs jobs as processes of this machine.
//!
//! A [`ShellProvider`] gives each job a [state folder](ShellConfig::state_dir) with one folder per stage. Starting a stage
//! writes its script there and starts a supervisor, a process of its own that runs the shell, records what it prints and keeps
//! how it ended; following a stage reads these files as they grow. Nothing of a running job lives in the manager:
//! dropping an environment, or killing the manager, changes nothing for the job, and [`Adopter`] finds it again.
//!
//! Jobs are kept apart by folders only. They run as the manager's user, see its files and can reach each other; use this
//! executor for jobs that are trusted as much as that.
//!
//! [`Adopter`]: runner_core::executor::Adopter

mod config;
mod environment;
mod errors;
mod follow;
mod job_folder;
mod launch;
mod provider;
mod stage_folder;
mod strays;
mod watcher;

pub use config::ShellConfig;
pub use provider::ShellProvider;
