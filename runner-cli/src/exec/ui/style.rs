//! Colours.

use anstyle::{AnsiColor, Style};

/// Colours of job names, in the order of the jobs.
const NAMES: [AnsiColor; 10] = [
    AnsiColor::Cyan,
    AnsiColor::Yellow,
    AnsiColor::Green,
    AnsiColor::Magenta,
    AnsiColor::Blue,
    AnsiColor::BrightCyan,
    AnsiColor::BrightYellow,
    AnsiColor::BrightGreen,
    AnsiColor::BrightMagenta,
    AnsiColor::BrightBlue,
];

/// How things look; without colours everything is plain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Styles {
    /// Whether there are colours.
    pub(crate) colour: bool,
}

impl Styles {
    /// The name of the job at this position.
    pub(super) fn name(self, position: usize) -> Style {
        let colour = NAMES.get(position % NAMES.len()).copied().unwrap_or(AnsiColor::White);
        self.when(Style::new().fg_color(Some(colour.into())))
    }

    /// What went well.
    pub(super) fn good(self) -> Style {
        self.when(Style::new().fg_color(Some(AnsiColor::Green.into())))
    }

    /// What went wrong.
    pub(crate) fn bad(self) -> Style {
        self.when(Style::new().bold().fg_color(Some(AnsiColor::Red.into())))
    }

    /// What deserves attention.
    pub(crate) fn warning(self) -> Style {
        self.when(Style::new().fg_color(Some(AnsiColor::Yellow.into())))
    }

    /// What matters less.
    pub(crate) fn faint(self) -> Style {
        self.when(Style::new().dimmed())
    }

    /// Heads.
    pub(crate) fn head(self) -> Style {
        self.when(Style::new().bold())
    }

    fn when(self, style: Style) -> Style {
        if self.colour { style } else { Style::new() }
    }
}
