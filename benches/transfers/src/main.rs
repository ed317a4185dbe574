//! Moves one large artifact up and down again, with connections that are reset in the middle, and measures the client:
//! its memory must not grow with the artifact, and every byte must be the same.
//!
//! The server (a coordinator and a proxy that resets connections) runs in another process, so that memory is the
//! client's alone. Without options 2 GiB are moved; at most 4 GiB and a little lie in the temporary folder at a time.

mod client;
mod content;
mod memory;
mod proxy;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What a phase may add to the client's memory.
const LIMIT_MIB: u64 = 16;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Moves a large artifact up and down through breaking connections and fails if memory grows or a byte differs.
#[derive(Debug, Parser)]
struct Arguments {
    /// Size of the artifact in MiB.
    #[arg(long, default_value_t = 2048, value_parser = clap::value_parser!(u64).range(1..))]
    mib: u64,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The other process: serves until its stdin is closed.
    #[command(hide = true)]
    Serve { folder: PathBuf },
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Some(Command::Serve { folder }) => server::serve(folder).await.map(|()| true),
        None => client::measure(arguments.mib << 20).await,
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let mut causes = error.to_string();
            let mut cause = error.source();
            while let Some(below) = cause {
                causes.push_str(&format!(": {below}"));
                cause = below.source();
            }
            eprintln!("transfers: {causes}");
            ExitCode::from(2)
        }
    }
}
