//! Where the program's own log lines go: standard error, never mixed with job output.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::SubscriberBuilder;

/// How log lines look. The names are the official runner's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people, with colours on a terminal.
    #[default]
    Runner,
    /// For people and files: full, without colours.
    Text,
    /// One JSON object a line.
    Json,
}

/// How much is logged. The names are the official runner's; `panic` and `fatal` are `error` here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    /// Errors only.
    #[value(alias = "fatal", alias = "panic")]
    Error,
    /// And what deserves attention.
    #[value(alias = "warn")]
    Warning,
    /// And what happens.
    #[default]
    Info,
    /// And why.
    Debug,
    /// And everything else.
    Trace,
}

impl Level {
    /// Reads a name of the configuration.
    pub(crate) fn named(name: &str) -> Option<Self> {
        <Self as ValueEnum>::from_str(name, true).ok()
    }
}

impl Format {
    /// Reads a name of the configuration.
    pub(crate) fn named(name: &str) -> Option<Self> {
        <Self as ValueEnum>::from_str(name, true).ok()
    }
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::ERROR,
            Level::Warning => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
            Level::Trace => Self::TRACE,
        }
    }
}

/// Starts logging for the rest of the process.
pub(crate) fn start(level: Level, format: Format, colour: bool) {
    let builder = SubscriberBuilder::default()
        .with_writer(std::io::stderr)
        .with_max_level(LevelFilter::from(level))
        .with_target(level == Level::Trace);
    // A second start is only possible in tests of this crate; the first one stays.
    let _ = match format {
        Format::Runner => {
            builder.compact().with_ansi(colour && std::io::stderr().is_terminal()).finish_as_global()
        }
        Format::Text => builder.with_ansi(false).finish_as_global(),
        Format::Json => builder.json().with_ansi(false).finish_as_global(),
    };
}

/// Small bridge, because each format is another type.
trait FinishAsGlobal {
    fn finish_as_global(self) -> Result<(), tracing::subscriber::SetGlobalDefaultError>;
}

impl<N, E, W> FinishAsGlobal for SubscriberBuilder<N, E, LevelFilter, W>
where
    Self: Into<tracing::Dispatch>,
{
    fn finish_as_global(self) -> Result<(), tracing::subscriber::SetGlobalDefaultError> {
        tracing::dispatcher::set_global_default(self.into())
    }
}
