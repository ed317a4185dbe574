//! The `runner` program: runs GitLab CI jobs as a service, or a `.gitlab-ci.yml` on this machine.
//!
//! Thin: it reads arguments, environment and `config.toml`, and wires the libraries together. What it prints and how it ends
//! is described in `docs/guide`.

mod args;
mod command;
mod config;
mod error;
mod exec;
mod host;
mod logging;

use std::process::ExitCode;

use clap::FromArgMatches;
use runner_helper::Process;

use crate::args::{Cli, Command};
use crate::host::Host;

fn main() -> ExitCode {
    if let Some(code) = runner_helper::run_supervisor(std::env::args_os().skip(1)) {
        return code;
    }
    let matches = args::command().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let host = Host::read();
    match cli.command {
        Command::Runner(command) => match command::run(host, cli.global, command, &matches) {
            Ok(exit) => exit.into(),
            Err(error) => error::report(&error),
        },
        // They run inside jobs: no configuration, no logging, and they may take over the process.
        Command::Helper(command) => {
            let process = Process { folder: std::env::current_dir(), environment: host.environment };
            runner_helper::run(command, process)
        }
    }
}
