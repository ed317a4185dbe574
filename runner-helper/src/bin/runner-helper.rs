//! The helper as a program of its own, for places where `runner` itself is not.

use std::process::ExitCode;

use clap::Parser;
use runner_helper::{Command, Process};

/// Works beside a job: supervises its stages, moves its artifacts and caches.
#[derive(Debug, Parser)]
#[command(name = "runner-helper", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    if let Some(code) = runner_helper::run_supervisor(std::env::args_os().skip(1)) {
        return code;
    }
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    runner_helper::run(Cli::parse().command, Process { folder: std::env::current_dir(), environment })
}
