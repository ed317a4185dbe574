//! Variables from the command line and from files.

use std::path::{Path, PathBuf};

use runner_coordinator::run::JobVariable;

use super::ExecError;
use crate::args::ExecArgs;

/// Variables that were given.
#[derive(Debug, Clone, Default)]
pub(super) struct Given {
    /// From files: those of the project, as its settings would have them.
    pub(super) project: Vec<JobVariable>,
    /// From the command line: those of this pipeline.
    pub(super) pipeline: Vec<JobVariable>,
    /// From the command line: in the place of tokens that `id_tokens` ask for.
    pub(super) id_tokens: Vec<JobVariable>,
}

impl Given {
    /// Reads them, lowest precedence first.
    pub(super) fn read(arguments: &ExecArgs, here: &Path) -> Result<Self, ExecError> {
        let mut given = Self::default();
        for path in &arguments.variables_files {
            let path = here.join(path);
            let text = std::fs::read_to_string(&path)
                .map_err(|source| ExecError::Read { path: path.clone(), source })?;
            given.project.extend(file(&path, &text)?);
        }
        for text in &arguments.variables {
            let (name, value) = pair(text).ok_or_else(|| ExecError::Usage(wrong("--variable")))?;
            given.pipeline.push(JobVariable::new(name, value));
        }
        for text in &arguments.masked_variables {
            let (name, value) = pair(text).ok_or_else(|| ExecError::Usage(wrong("--masked-variable")))?;
            given.pipeline.push(JobVariable::masked(name, value));
        }
        for text in &arguments.id_tokens {
            let (name, value) = pair(text).ok_or_else(|| ExecError::Usage(wrong("--id-token")))?;
            given.id_tokens.push(JobVariable::masked(name, value));
        }
        Ok(given)
    }
}

/// Values for `spec:inputs`.
pub(super) fn inputs(arguments: &ExecArgs) -> Result<Vec<(String, String)>, ExecError> {
    let read = |text: &String| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(ExecError::Usage(format!("--input takes NAME=VALUE, not {text}"))),
    };
    arguments.includes.inputs.iter().map(read).collect()
}

/// Lines `NAME=VALUE`; empty lines and lines that begin with `#` do not count. Quotes around a whole value are taken off.
/// `NAME=@PATH` makes a file variable of what PATH holds, relative to the file.
fn file(path: &Path, text: &str) -> Result<Vec<JobVariable>, ExecError> {
    let mut variables = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = pair(line)
            .ok_or_else(|| ExecError::VariablesFile { path: PathBuf::from(path), line: number + 1 })?;
        variables.push(match value.strip_prefix('@') {
            Some(content) => {
                let path = path.parent().unwrap_or(path).join(content);
                let text = std::fs::read_to_string(&path)
                    .map_err(|source| ExecError::Read { path: path.clone(), source })?;
                JobVariable { file: true, ..JobVariable::hidden(name, text) }
            }
            None => JobVariable::hidden(name, unquoted(value)),
        });
    }
    Ok(variables)
}

fn pair(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    let valid = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    valid.then_some((name, value))
}

fn unquoted(value: &str) -> &str {
    ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote)).unwrap_or(value)
}

fn wrong(flag: &str) -> String {
    // The text is not repeated: it may hold a secret.
    format!("{flag} takes NAME=VALUE, with letters, digits and _ in the name")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::file;

    #[test]
    fn lines_of_a_file() {
        let text = "# comment\n\nA=1\nexport B=\"two words\"\nC='x=y'\nD=\n  E= spaced \n";
        let read: Vec<(String, String)> =
            file(Path::new("f"), text).unwrap().into_iter().map(|v| (v.key, v.value)).collect();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            read,
            [pair("A", "1"), pair("B", "two words"), pair("C", "x=y"), pair("D", ""), pair("E", " spaced")]
        );
        let error = file(Path::new("f"), "A=1\nnothing\n").unwrap_err().to_string();
        assert_eq!(error, "f:2: not a variable; write NAME=VALUE");
    }
}
