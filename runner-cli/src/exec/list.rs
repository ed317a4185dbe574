//! `exec --list`: the jobs of the file, for people or programs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use runner_coordinator::pipeline::{Config, Job, When, Work};
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use crate::args::ListFormat;

/// The whole list. Fields may be added to it, never taken away.
#[derive(Debug, Serialize)]
struct List<'a> {
    stages: &'a [String],
    jobs: Vec<Entry<'a>>,
}

/// One job. Every job of the file is listed, as if it had no rules.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    /// Full name.
    name: &'a str,
    /// Name before `parallel` made several jobs of it.
    base: &'a str,
    stage: &'a str,
    /// `before_script` and `script`.
    script: Vec<&'a str>,
    after_script: &'a [String],
    /// Names of the jobs that it needs; `null` when it waits for earlier stages instead.
    needs: Option<Vec<&'a str>>,
    when: When,
    /// Values as written, not expanded.
    variables: BTreeMap<&'a str, &'a str>,
    /// Whether the rules let it into the pipeline; `null` when there would be no pipeline.
    in_pipeline: Option<bool>,
}

/// Prints the list. `in_pipeline` are the jobs that the rules let in, if there is a pipeline.
pub(super) fn print(
    out: &mut dyn Write,
    format: ListFormat,
    config: &Config,
    in_pipeline: Option<&BTreeSet<String>>,
) -> std::io::Result<()> {
    let jobs = config.jobs().map(|job| entry(job, in_pipeline)).collect();
    let list = List { stages: config.stages(), jobs };
    match format {
        ListFormat::Json => {
            serde_json::to_writer_pretty(&mut *out, &list)?;
            writeln!(out)
        }
        ListFormat::Text => table(out, &list),
    }
}

fn entry<'a>(job: &'a Job, in_pipeline: Option<&BTreeSet<String>>) -> Entry<'a> {
    let (script, after_script): (Vec<&str>, &[String]) = match &job.work {
        Work::Script { before_script, script, after_script } => {
            (before_script.iter().chain(script).map(String::as_str).collect(), after_script)
        }
        Work::Trigger(_) => (Vec::new(), &[]),
    };
    Entry {
        name: &job.name,
        base: &job.base,
        stage: &job.stage,
        script,
        after_script,
        needs: job.needs.as_ref().map(|needs| needs.iter().map(|need| need.job.as_str()).collect()),
        when: job.when,
        variables: job.variables.iter().map(|v| (v.key.as_str(), v.value.as_str())).collect(),
        in_pipeline: in_pipeline.map(|names| names.contains(&job.name)),
    }
}

fn table(out: &mut dyn Write, list: &List<'_>) -> std::io::Result<()> {
    let mut rows = vec![["job", "stage", "when", "needs"].map(str::to_owned)];
    rows.extend(list.jobs.iter().map(|job| {
        let when = match (job.in_pipeline, job.when) {
            (Some(false), _) => "left out by rules",
            (_, When::OnSuccess) => "on_success",
            (_, When::OnFailure) => "on_failure",
            (_, When::Always) => "always",
            (_, When::Manual) => "manual",
            (_, When::Delayed) => "delayed",
        };
        let needs = job.needs.as_ref().map(|needs| needs.join(", ")).unwrap_or_default();
        [job.name.to_owned(), job.stage.to_owned(), when.to_owned(), needs]
    }));
    let width = |column: usize| rows.iter().map(|cells| cells[column].width()).max().unwrap_or_default();
    let widths = [width(0), width(1), width(2), 0];
    for cells in &rows {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat((width + 2).saturating_sub(cell.width())));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
