//! Compiles a `.gitlab-ci.yml` and prints its jobs, one JSON object per line.
//!
//! ```text
//! cargo run -p runner-coordinator --example compile -- FILE [ROOT] [--evaluate BRANCH] [--skip-missing-includes] [NAME=VALUE…]
//! ```
//!
//! `ROOT` is the folder in which `include:local` looks for files; by default that of FILE. With `--evaluate` the rules are
//! applied, as for a push to a branch.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use runner_coordinator::pipeline::{Context, Facts, ProjectFiles, Variable, compile};

fn main() -> ExitCode {
    match run() {
        Ok(lines) => {
            print(&lines);
            ExitCode::SUCCESS
        }
        Err(message) => {
            print(&[message]);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "an example program talks to its user")]
fn print(lines: &[String]) {
    for line in lines {
        println!("{line}");
    }
}

fn run() -> Result<Vec<String>, String> {
    let mut paths = Vec::new();
    let mut variables = Vec::new();
    let mut branch = None;
    let mut skip = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--skip-missing-includes" {
            skip = true;
        } else if argument == "--evaluate" {
            branch = arguments.next();
        } else if let Some((key, value)) = argument.split_once('=') {
            variables.push(Variable { key: key.to_owned(), value: value.to_owned(), raw: false });
        } else {
            paths.push(PathBuf::from(argument));
        }
    }
    let file = paths.first().ok_or("usage: compile FILE [ROOT] [--evaluate BRANCH] [NAME=VALUE…]")?;
    let folder = paths.get(1).map_or_else(|| file.parent().unwrap_or(Path::new("")), PathBuf::as_path);
    let name = file.file_name().and_then(|name| name.to_str()).ok_or("FILE has no name")?;
    let files = Folder { root: file.clone(), name: name.to_owned(), folder: folder.to_owned() };
    let mut context = Context::new(variables.clone());
    context.skip_missing_includes = skip;
    let config = compile(name, &files, &context).map_err(|errors| errors.to_string())?;
    let mut lines = Vec::new();
    let json = |value: &_| serde_json::to_string(value).map_err(|error| error.to_string());
    if let Some(branch) = branch {
        let mut facts = Facts::push(&branch);
        facts.predefined = [("CI", "true"), ("CI_PIPELINE_SOURCE", "push")]
            .into_iter()
            .chain(["CI_COMMIT_BRANCH", "CI_COMMIT_REF_NAME"].map(|key| (key, branch.as_str())))
            .map(|(key, value)| Variable { key: key.to_owned(), value: value.to_owned(), raw: false })
            .collect();
        facts.pipeline_variables = variables;
        let pipeline = config.evaluate(&facts).map_err(|error| error.to_string())?;
        for job in &pipeline.jobs {
            lines.push(json(job)?);
        }
        lines.extend(pipeline.notes.iter().map(|note| format!("# {note}")));
    } else {
        for job in config.jobs() {
            lines.push(json(job)?);
        }
        lines.extend(config.notes().iter().map(|note| format!("# {note}")));
    }
    Ok(lines)
}

/// The files below a folder; the root file may lie elsewhere.
struct Folder {
    root: PathBuf,
    name: String,
    folder: PathBuf,
}

impl ProjectFiles for Folder {
    fn read(&self, path: &str) -> io::Result<Option<String>> {
        let path = if path == self.name { self.root.clone() } else { self.folder.join(path) };
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    if entry.file_name() != ".git" {
                        folders.push(entry.path());
                    }
                } else if let Ok(path) = entry.path().strip_prefix(&self.folder) {
                    files.extend(path.to_str().map(str::to_owned));
                }
            }
        }
        Ok(files)
    }
}
