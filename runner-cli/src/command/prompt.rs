//! Questions to the person at the terminal.

use std::io::{BufRead, Write};

use crate::error::CliError;

/// Asks, or refuses to when nothing may be asked.
#[derive(Debug)]
pub(super) struct Prompt<R, W> {
    input: R,
    output: W,
    interactive: bool,
}

impl<R: BufRead, W: Write> Prompt<R, W> {
    /// Questions go to `output`, answers are lines of `input`.
    pub(super) fn new(input: R, output: W, interactive: bool) -> Self {
        Self { input, output, interactive }
    }

    /// The given value, or the answer to `question`, where an empty line means `default`.
    ///
    /// # Errors
    /// When there is neither a value nor a default and nothing may be asked; `flag` is what would have given one.
    pub(super) fn ask(
        &mut self,
        given: Option<&str>,
        question: &str,
        default: &str,
        flag: &str,
    ) -> Result<String, CliError> {
        if let Some(given) = given.filter(|given| !given.is_empty()) {
            return Ok(given.to_owned());
        }
        if !self.interactive {
            return if default.is_empty() { Err(missing(flag)) } else { Ok(default.to_owned()) };
        }
        loop {
            let answer = self.line(question, default)?.ok_or_else(|| missing(flag))?;
            if !answer.is_empty() {
                return Ok(answer);
            }
        }
    }

    /// One question; `None` when there are no more answers.
    fn line(&mut self, question: &str, default: &str) -> Result<Option<String>, CliError> {
        let failed = "cannot ask";
        match default {
            "" => write!(self.output, "{question}: "),
            _ => write!(self.output, "{question} [{default}]: "),
        }
        .and_then(|()| self.output.flush())
        .map_err(CliError::system(failed))?;
        let mut answer = String::new();
        if self.input.read_line(&mut answer).map_err(CliError::system(failed))? == 0 {
            return Ok(None);
        }
        let answer = answer.trim();
        Ok(Some(if answer.is_empty() { default } else { answer }.to_owned()))
    }
}

fn missing(flag: &str) -> CliError {
    CliError::Usage(format!("--{flag} is needed"))
}
