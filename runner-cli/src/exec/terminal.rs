//! What standard output is: a terminal with colours, one without, or none.

use std::io::IsTerminal;

use super::ui::{Live, Screen, Size, Styles};
use crate::args::{ExecArgs, When};

/// Of a terminal that does not say how large it is.
const USUAL: Size = Size { rows: 24, columns: 80 };

/// Colours, as far as they are wanted and possible.
pub(super) fn styles(when: When) -> Styles {
    let colour = match when {
        When::Always => true,
        When::Never => false,
        When::Auto => has_sequences(),
    };
    Styles { colour }
}

/// Standard output, for jobs with these names.
pub(super) fn screen<'a>(arguments: &ExecArgs, names: impl IntoIterator<Item = &'a str>) -> Screen {
    let styles = styles(arguments.color);
    let is_live = match arguments.progress {
        When::Always => true,
        When::Never => false,
        When::Auto => std::io::stdout().is_terminal() && has_sequences(),
    };
    if is_live {
        Screen::live(Live::new(std::io::stdout(), size), styles, names)
    } else {
        Screen::new(std::io::stdout(), styles, names)
    }
}

/// Whether to ask which manual jobs to play: somebody sits at a terminal, and no argument has answered that. Who watches wants to
/// go on working: there only `--manual` plays jobs.
pub(super) fn asks(arguments: &ExecArgs) -> bool {
    let answered = arguments.no_input || arguments.watch.is_some() || !arguments.manual.is_empty();
    !answered && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Whether standard output understands control sequences, and nobody has said that there should be none.
fn has_sequences() -> bool {
    anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never
}

fn size() -> Size {
    match rustix::termios::tcgetwinsize(std::io::stdout()) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => {
            Size { rows: size.ws_row.into(), columns: size.ws_col.into() }
        }
        _ => USUAL,
    }
}
