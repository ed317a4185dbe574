//! `lint`: mistakes of a configuration, for people and for editors.

use std::io::Write;

use runner_coordinator::pipeline::{CompileError, CompileErrors, Config};
use serde::Serialize;

use super::ExecError;
use super::compile;
use super::look::prepared;
use super::project::Project;
use super::run::{Surroundings, state_folder};
use crate::args::{LintArgs, LintFormat};
use crate::error::Exit;

/// One thing to tell. Fields may be added to it, never taken away.
#[derive(Debug, Serialize)]
struct Diagnostic {
    /// As the configuration names it: relative to the root of the repository, or an address.
    file: String,
    /// From 1.
    line: u32,
    /// In characters, from 1.
    column: u32,
    end_line: u32,
    /// The first character that does not belong to it any more.
    end_column: u32,
    severity: Severity,
    /// One word for the kind of mistake; see the guide.
    code: String,
    message: String,
    /// What can be done about it.
    help: Option<String>,
    /// How the place came to take part: includes and `extends`.
    trail: Vec<Step>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    Error,
    Warning,
}

#[derive(Debug, Serialize)]
struct Step {
    file: String,
    line: u32,
    column: u32,
    message: String,
}

/// Compiles the file and prints what is wrong with it. No rules are applied, nothing is run.
pub(crate) fn lint(arguments: &LintArgs, surroundings: &Surroundings) -> Result<Exit, ExecError> {
    let exec = arguments.as_exec();
    let project = Project::find(&exec, &surroundings.here)?;
    let state = state_folder(exec.state_dir.as_deref(), surroundings);
    let compiled = prepared(&exec, surroundings, &project, state, |files, inputs| {
        match compile::compile(files, inputs) {
            Ok(config) => Ok(Ok(config)),
            Err(ExecError::Compile(errors)) => Ok(Err(errors)),
            Err(other) => Err(other),
        }
    })?;
    let diagnostics = match &compiled {
        Ok(config) => {
            let notes = config.notes().iter().filter_map(|note| of_note(note));
            notes.chain(config.warnings().map(|warning| of_error(warning, Severity::Warning))).collect()
        }
        Err(errors) => errors.iter().map(|error| of_error(error, Severity::Error)).collect::<Vec<_>>(),
    };
    let mut out = std::io::stdout().lock();
    let printed = match arguments.format {
        LintFormat::Json => serde_json::to_writer_pretty(&mut out, &diagnostics)
            .map_err(Into::into)
            .and_then(|()| writeln!(out)),
        LintFormat::Text => text(&mut out, &compiled, &diagnostics),
    };
    match printed.and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(ExecError::System { what: "cannot print", source: error })
        }
        _ => Ok(if compiled.is_ok() { Exit::Success } else { Exit::Failed }),
    }
}

fn text(
    out: &mut dyn Write,
    compiled: &Result<Config, CompileErrors>,
    diagnostics: &[Diagnostic],
) -> std::io::Result<()> {
    match compiled {
        Err(errors) => {
            writeln!(out, "{errors:#}")?;
            let mistakes = if errors.count() == 1 { "mistake" } else { "mistakes" };
            writeln!(out, "{} {mistakes}", errors.count())
        }
        Ok(config) => {
            let notes = diagnostics.len().saturating_sub(config.warnings().count());
            for Diagnostic { file, line, column, message, .. } in diagnostics.iter().take(notes) {
                writeln!(out, "{file}:{line}:{column}: warning: {message}")?;
            }
            for warning in config.warnings() {
                let (place, shown) = (format!("{}: ", warning.span), format!("{warning:#}"));
                writeln!(out, "{place}warning: {}", shown.strip_prefix(&place).unwrap_or(&shown))?;
            }
            let jobs = config.jobs().count();
            writeln!(out, "no mistakes ({jobs} {})", if jobs == 1 { "job" } else { "jobs" })
        }
    }
}

fn of_error(error: &CompileError, severity: Severity) -> Diagnostic {
    let length = error.excerpt.as_ref().map_or(1, |excerpt| excerpt.length);
    Diagnostic {
        file: error.span.file.to_string(),
        line: error.span.line,
        column: error.span.column,
        end_line: error.span.line,
        end_column: error.span.column.saturating_add(u32::try_from(length).unwrap_or(1)),
        severity,
        code: error.code.as_str().to_owned(),
        message: error.message.clone(),
        help: error.help.clone(),
        trail: error
            .trail
            .iter()
            .map(|step| Step {
                file: step.span.file.to_string(),
                line: step.span.line,
                column: step.span.column,
                message: step.text.clone(),
            })
            .collect(),
    }
}

/// A note with a place in front: `FILE:LINE:COLUMN: text`. Others are about running.
fn of_note(note: &str) -> Option<Diagnostic> {
    let (place, message) = note.split_once(": ")?;
    let mut parts = place.rsplitn(3, ':');
    let column: u32 = parts.next()?.parse().ok()?;
    let line: u32 = parts.next()?.parse().ok()?;
    Some(Diagnostic {
        file: parts.next()?.to_owned(),
        line,
        column,
        end_line: line,
        end_column: column.saturating_add(1),
        severity: Severity::Warning,
        code: "note".to_owned(),
        message: message.to_owned(),
        help: None,
        trail: Vec::new(),
    })
}
