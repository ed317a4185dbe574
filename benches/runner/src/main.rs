//! Measures the `runner` program as it is released: `runner run` with its supervisors and shells, against a coordinator in
//! this process, over loopback HTTP; `runner exec` in a small repository; the compiler of pipelines. Every figure that needs one has a reference that is taken in turns with it.
//!
//! ```sh
//! cargo run --release -p bench-runner
//! cargo run --release -p bench-runner -- --only churn --quick
//! ```
//!
//! It measures and judges; it fails only when something could not be measured, or with `--check` when a target was missed.
//! `docs/performance.md` says how to read what it prints.

mod bash;
mod churn;
mod compile;
mod exec;
mod figure;
mod gitlab;
mod idle;
mod job;
mod latency;
mod log;
mod machine;
mod process;
mod report;
mod runner;
mod sleeping;
mod start;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use figure::Figure;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Measures the runner program and says which targets it reaches.
#[derive(Debug, Parser)]
struct Arguments {
    /// Measure only this; may be given several times.
    #[arg(long, value_enum, value_name = "NAME")]
    only: Vec<Bench>,
    /// Fewer repetitions and smaller amounts, to see that everything works.
    #[arg(long)]
    quick: bool,
    /// End with exit code 1 when a target is missed.
    #[arg(long)]
    check: bool,
    /// The program to measure, instead of one that is built now with the release profile.
    #[arg(long, value_name = "PATH")]
    runner: Option<PathBuf>,
    /// Where the runner works and keeps its state; a folder in it is made and removed. Default: the system's temporary folder.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Compile this pipeline, too, which must be one file.
    #[arg(long, value_name = "FILE")]
    pipeline: Option<PathBuf>,
    /// Write the table as Markdown into this file, too.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Bench {
    /// From exec to the first request for a job.
    Start,
    /// Memory and CPU time without jobs.
    Idle,
    /// A job that does nothing, and the pause before the next one.
    Job,
    /// Two hundred jobs that do nothing, ten at a time.
    Churn,
    /// A hundred jobs that sleep.
    Sleeping,
    /// A large log.
    Log,
    /// The same with masked variables.
    Masked,
    /// When lines arrive.
    Latency,
    /// A pipeline of 2,790 lines.
    Compile,
    /// From the start of `runner exec` to a job's first line.
    ExecStart,
    /// `runner exec` of five hundred jobs that print a line.
    ExecMany,
}

/// What every measurement needs to know.
#[derive(Debug)]
struct Context {
    program: PathBuf,
    /// In which folders are made.
    folder: PathBuf,
    /// A pipeline of the user's to be compiled.
    pipeline: Option<PathBuf>,
    quick: bool,
}

impl Context {
    /// A number of repetitions, fewer when it has to be quick.
    fn repetitions(&self, full: usize) -> usize {
        if self.quick { full.div_ceil(5).max(2) } else { full }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) if arguments.check => ExitCode::FAILURE,
        Ok(false) => ExitCode::SUCCESS,
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(below) = cause {
                text.push_str(&format!(": {below}"));
                cause = below.source();
            }
            eprintln!("bench-runner: {text}");
            ExitCode::from(2)
        }
    }
}

/// Whether all targets are reached.
async fn run(arguments: &Arguments) -> Result<bool, Error> {
    let program = match &arguments.runner {
        Some(program) => std::path::absolute(program)?,
        None => runner::build()?,
    };
    let parent = arguments.folder.clone().unwrap_or_else(std::env::temp_dir);
    let folder = tempfile::Builder::new().prefix("bench-runner-").tempdir_in(parent)?;
    let context = Context {
        program,
        folder: folder.path().to_owned(),
        pipeline: arguments.pipeline.clone(),
        quick: arguments.quick,
    };

    let before = machine::Machine::look(&context)?;
    println!("{before}");
    let mut all = Vec::new();
    for bench in Bench::value_variants() {
        if arguments.only.is_empty() || arguments.only.contains(bench) {
            let figures = measure(*bench, &context).await?;
            report::print(&figures);
            all.extend(figures);
        }
    }
    println!("{}", report::summary(&all));
    if let Some(path) = &arguments.markdown {
        std::fs::write(path, report::markdown(&before, &all))?;
    }
    folder.close()?;
    Ok(all.iter().all(|figure| figure.reached() != Some(false)))
}

async fn measure(bench: Bench, context: &Context) -> Result<Vec<Figure>, Error> {
    match bench {
        Bench::Start => start::measure(context).await,
        Bench::Idle => idle::measure(context).await,
        Bench::Job => job::measure(context).await,
        Bench::Churn => churn::measure(context).await,
        Bench::Sleeping => sleeping::measure(context).await,
        Bench::Log => log::measure(context, 0).await,
        Bench::Masked => log::measure(context, 20).await,
        Bench::Latency => latency::measure(context).await,
        Bench::Compile => compile::measure(context).await,
        Bench::ExecStart => exec::measure_start(context).await,
        Bench::ExecMany => exec::measure_many(context).await,
    }
}
