//! The smallest helper program that the shell executor can use: the commands of `runner-helper` and nothing else.
//!
//! `runner` contains the same commands, so one binary is enough on a machine; an embedder adds them to a binary like this.

use std::process::ExitCode;

use clap::Parser;
use runner_helper::Command;

#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let process = runner_helper::Process { folder: std::env::current_dir(), environment };
    runner_helper::run(Cli::parse().command, process)
}
