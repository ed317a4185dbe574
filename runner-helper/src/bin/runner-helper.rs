//! The helper as a program of its own, for places where `runner` itself is not.

use std::process::ExitCode;

use clap::Parser;
use runner_helper::Command;

/// Works beside a job: supervises its stages, moves its artifacts and caches.
#[derive(Debug, Parser)]
#[command(name = "runner-helper", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    runner_helper::run(Cli::parse().command)
}
