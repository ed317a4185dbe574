//! What the commands do.

mod client;
mod exec;
mod list;
mod prompt;
mod register;
mod reset_token;
mod run;
mod select;
mod unregister;
mod verify;

use std::path::PathBuf;

use clap::ArgMatches;

use crate::args::{GlobalArgs, RunnerCommand};
use crate::config::{self, Loaded, SystemId};
use crate::error::{CliError, Exit};
use crate::host::Host;
use crate::logging::{self, Format, Level};

/// What every command gets.
#[derive(Debug)]
struct Context {
    host: Host,
    global: GlobalArgs,
    /// Path of the configuration.
    config: PathBuf,
}

impl Context {
    /// Starts logging, except for `run`, which reads the configuration first.
    fn start_logging(&self, command: &RunnerCommand) {
        match command {
            RunnerCommand::Run(_) => {}
            // The screen of a local pipeline tells what happens; its log is for what should not happen.
            RunnerCommand::Exec(_) | RunnerCommand::Lint(_) => self.log(Level::Warning, Format::default()),
            _ => self.log(Level::default(), Format::default()),
        }
    }

    /// Starts logging; what the command line says wins.
    fn log(&self, level: Level, format: Format) {
        let colour = self.host.variable("NO_COLOR").is_none();
        logging::start(
            self.global.level().unwrap_or(level),
            self.global.log_format.unwrap_or(format),
            colour,
        );
    }

    /// Reads the configuration and says what is not understood in it.
    fn load(&self) -> Result<Loaded, CliError> {
        let loaded = Loaded::read(&self.config)?;
        for complaint in loaded.unknown() {
            tracing::warn!("{}", complaint.short());
        }
        Ok(loaded)
    }

    fn system_id(&self) -> SystemId {
        SystemId::beside(&self.config, self.host.machine_id.as_deref())
    }
}

/// Runs the command that was asked for.
pub(crate) fn run(
    host: Host,
    global: GlobalArgs,
    command: RunnerCommand,
    matches: &ArgMatches,
) -> Result<Exit, CliError> {
    let home = host.home();
    let config =
        global.config.clone().unwrap_or_else(|| config::default_path(host.uid == 0, home.as_deref()));
    let context = Context { host, global, config };
    context.start_logging(&command);
    match command {
        RunnerCommand::Exec(arguments) => exec::run(&context, &arguments),
        RunnerCommand::Lint(arguments) => exec::lint(&context, &arguments),
        RunnerCommand::List => list::run(&context),
        RunnerCommand::Register(arguments) => {
            let matches = matches.subcommand_matches("register");
            wait(register::run(&context, &arguments, matches))
        }
        RunnerCommand::ResetToken(arguments) => wait(reset_token::run(&context, &arguments)),
        RunnerCommand::Run(arguments) => run::run(&context, &arguments),
        RunnerCommand::Unregister(arguments) => wait(unregister::run(&context, &arguments)),
        RunnerCommand::Verify(arguments) => wait(verify::run(&context, &arguments)),
    }
}

/// Runs a short command to its end.
fn wait<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::system("cannot start the runtime"))?
        .block_on(work)
}
