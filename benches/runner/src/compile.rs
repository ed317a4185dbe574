//! A large `.gitlab-ci.yml`: text to jobs, in this process and in the program.

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use runner_coordinator::pipeline::{self, Context as Known, Facts, ProjectFiles};
use saphyr_parser::Parser;

use crate::figure::{Figure, Samples, Target};
use crate::{Context, Error, runner};

/// Lines and visible jobs of the text that is made here, as the largest of fifty pipelines of public projects has them.
const LINES: usize = 2_790;
const JOBS: usize = 175;

pub async fn measure(context: &Context) -> Result<Vec<Figure>, Error> {
    let mut texts = vec![("made here".to_owned(), text())];
    if let Some(file) = &context.pipeline {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        texts.push((name, std::fs::read_to_string(file)?));
    }
    let mut figures = Vec::new();
    for (name, text) in texts {
        let (mut ours, mut events) = (Samples::default(), Samples::default());
        let mut jobs = 0;
        for _ in 0..context.repetitions(25) {
            let began = Instant::now();
            jobs = compiled(&text)?;
            ours.push(ms(began.elapsed()));
            let began = Instant::now();
            let all = Parser::new_from_str(&text).collect::<Result<Vec<_>, _>>()?;
            black_box(all.len());
            events.push(ms(began.elapsed()));
        }
        let lines = text.lines().count();
        figures.push(
            Figure::new(format!("compile {lines} lines, {jobs} jobs ({name})"), "ms", ours)
                .reference("its YAML events alone", events)
                .target(Target::AtMost(50.0)),
        );
        figures.push(lint(context, &name, &text).await?);
    }
    Ok(figures)
}

/// Compiles and applies the rules; how many jobs there are.
fn compiled(text: &str) -> Result<usize, Error> {
    let config = pipeline::compile(".gitlab-ci.yml", &OneFile(text), &Known::default())?;
    Ok(black_box(config.evaluate(&Facts::push("main"))?).jobs.len())
}

/// The same by the program, with its start.
async fn lint(context: &Context, name: &str, text: &str) -> Result<Figure, Error> {
    let folder = tempfile::tempdir_in(&context.folder)?;
    std::fs::write(folder.path().join(".gitlab-ci.yml"), text)?;
    let (mut ours, mut start) = (Samples::default(), Samples::default());
    for _ in 0..context.repetitions(10) {
        ours.push(ms(timed(context, folder.path(), &["lint"]).await?));
        start.push(ms(timed(context, folder.path(), &["--version"]).await?));
    }
    folder.close()?;
    Ok(Figure::new(format!("`runner lint` of it ({name})"), "ms", ours).reference("--version", start))
}

async fn timed(context: &Context, folder: &Path, arguments: &[&str]) -> Result<Duration, Error> {
    let mut command = runner::command(context, folder);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let began = Instant::now();
    let status = command.status().await?;
    if !status.success() {
        return Err(format!("`runner {}` ended with {status}", arguments.join(" ")).into());
    }
    Ok(began.elapsed())
}

struct OneFile<'a>(&'a str);

impl ProjectFiles for OneFile<'_> {
    fn read(&self, path: &str) -> std::io::Result<Option<String>> {
        Ok((path == ".gitlab-ci.yml").then(|| self.0.to_owned()))
    }

    fn list(&self) -> std::io::Result<Vec<String>> {
        Ok(vec![".gitlab-ci.yml".to_owned()])
    }
}

/// Jobs in pairs: one that makes something from a template's template, and one that needs it.
pub fn text() -> String {
    let mut text = String::from(
        "---\nstages:\n  - init\n  - make\n  - check\n\nvariables:\n  # For all jobs.\n  PARENT: $CI_PIPELINE_ID\n  PROXY: \"https://proxy.example.com,direct\"\n\n\
         init:\n  stage: init\n  interruptible: true\n  script:\n    - ./status.sh start\n\n\
         .base:\n  before_script:\n    - cat keys.txt |\n        tee -a keys > /dev/null\n  interruptible: true\n  retry: 1\n  tags:\n    - machine\n\
         \u{20}\u{20}variables:\n    UNBUFFERED: 1\n\n.machine:\n  extends: .base\n  tags:\n    - machine\n\n",
    );
    for number in 0..JOBS / 2 {
        let name = format!("[system-{}, arch-{number}]", number % 7);
        let _ = write!(
            text,
            "\"make: {name}\":\n  stage: make\n  extends: .machine\n  variables:\n    RUNNER: cloud/system-{number}\n    INTERNAL: \"true\"\n  script:\n\
             \u{20}\u{20}\u{20}\u{20}- sudo -E ./scripts/setup-repository\n    - sudo ./scripts/install-dependencies\n    - ./scripts/make --system {number} build-{number}.yml\n\
             \u{20}\u{20}artifacts:\n    paths:\n      - build-{number}.yml\n\n\n\
             \"check: {name}\":\n  stage: check\n  extends: .machine\n  variables:\n    RUNNER: cloud/system-{number}\n    FILE: build-{number}.yml\n  script:\n\
             \u{20}\u{20}\u{20}\u{20}- |\n      for file in $FILE; do\n        ./scripts/check \"$file\"\n      done\n  rules:\n    - if: $CI_PIPELINE_SOURCE != \"schedule\"\n\
             \u{20}\u{20}needs:\n    - \"make: {name}\"\n\n",
        );
    }
    let mut missing = LINES.saturating_sub(text.lines().count());
    while missing > 0 {
        text.push_str("# A remark.\n");
        missing -= 1;
    }
    text
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_the_size_that_it_says() {
        let text = text();
        assert_eq!(text.lines().count(), LINES);
        assert_eq!(compiled(&text).unwrap(), JOBS);
    }
}
