//! Variables that must not be in a script's text.

use std::fs;

use super::super::bench::{Bench, Outcome, TestJob, WAIT, ensure, not_applicable, show, stage};
use super::super::processes;
use crate::executor::{Place, SecretVariable, Stop};

/// Everything that a shell, a line or a parser could stumble over.
const ODD: &str = " a'b\"c`d$e\\f\n\ttwo  blanks ; | & * ü 字 = {x} #\n\n";

fn secret(key: &str, value: &str, file: Option<&str>) -> SecretVariable {
    SecretVariable { key: key.to_owned(), value: value.to_owned().into(), file: file.map(str::to_owned) }
}

pub(super) async fn variables_reach_the_script(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    let long = "x".repeat(100_000);
    let mut input = job.input("printf '%s|%s|%s' \"$ODD\" \"$EMPTY\" \"$LONG\"\n");
    input.secrets.extend([secret("ODD", ODD, None), secret("EMPTY", "", None), secret("LONG", &long, None)]);
    job.start_with(&stage(1), input).await?;
    job.read(&stage(1), 0).end().await?.expect(&format!("{ODD}||{long}"))?;
    job.finish().await
}

pub(super) async fn the_last_of_two_values_counts(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    let mut input = job.input("echo \"$TWICE\"\n");
    input.secrets.extend([secret("TWICE", "first", None), secret("TWICE", "second", None)]);
    job.start_with(&stage(1), input).await?;
    job.read(&stage(1), 0).end().await?.expect("second\n")?;
    job.finish().await
}

pub(super) async fn variables_stay_in_their_stage(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    let mut input = job.input("echo \"${ONLY_HERE-unset}\"\n");
    input.secrets.push(secret("ONLY_HERE", "set", None));
    job.start_with(&stage(1), input).await?;
    job.read(&stage(1), 0).end().await?.expect("set\n")?;
    job.run(&stage(2), "echo \"${ONLY_HERE-unset}\"\n").await?.expect("unset\n")?;
    job.finish().await
}

pub(super) async fn files_have_their_value_exactly(bench: &Bench) -> Outcome {
    let (job, place) = bench.job().await?;
    let path = file_of(&place, "EXACT");
    let mut input = job.input(format!("cat '{path}'\n"));
    input.secrets.push(secret("EXACT", ODD, Some(&path)));
    job.start_with(&stage(1), input).await?;
    job.read(&stage(1), 0).end().await?.expect(ODD)?;
    // A later stage brings the same file again, perhaps with another value.
    let mut input = job.input(format!("cat '{path}'\n"));
    input.secrets.push(secret("EXACT", "short", Some(&path)));
    job.start_with(&stage(2), input).await?;
    job.read(&stage(2), 0).end().await?.expect("short")?;
    job.finish().await
}

pub(super) async fn files_are_private(bench: &Bench) -> Outcome {
    let (job, place) = bench.job().await?;
    let path = file_of(&place, "PRIVATE");
    let mut input = job.input(format!("ls -l '{path}' | cut -c1-10\n"));
    input.secrets.push(secret("PRIVATE", "value", Some(&path)));
    job.start_with(&stage(1), input).await?;
    job.read(&stage(1), 0).end().await?.expect("-rw-------\n")?;
    job.finish().await
}

pub(super) async fn files_leave_with_the_job(bench: &Bench) -> Outcome {
    let (job, place) = bench.job().await?;
    shares_files(bench, &job, &place).await?;
    let path = file_of(&place, "LEAVES");
    let mut input = job.input("true\n");
    input.secrets.push(secret("LEAVES", "value", Some(&path)));
    job.start_with(&stage(1), input).await?;
    job.read(&stage(1), 0).end().await?.expect("")?;
    job.finish().await?;
    ensure!(fs::symlink_metadata(&path).is_err(), "the file of a secret variable is still there");
    Ok(())
}

pub(super) async fn secrets_are_not_visible_to_others(bench: &Bench) -> Outcome {
    let (job, place) = bench.job().await?;
    let (value, content) = (bench.unique("value"), bench.unique("content"));
    let mut input = job.input(format!("echo \"shell $$.\"\n{WAIT}"));
    let path = file_of(&place, "HIDDEN_FILE");
    input.secrets.extend([secret("HIDDEN", &value, None), secret("HIDDEN_FILE", &content, Some(&path))]);
    let key = stage(1);
    job.start_with(&key, input).await?;
    let mut reading = job.read(&key, 0);
    reading.until("ready\n").await?;
    let printed: Vec<u8> = reading.frames.iter().flat_map(|frame| frame.bytes.to_vec()).collect();
    let text = String::from_utf8_lossy(&printed).into_owned();
    let number = text.split_once("shell ").and_then(|(_, rest)| rest.split_once('.')?.0.parse::<i32>().ok());
    let Some(number) = number else { return super::failed(format!("no shell in {}", show(&printed))) };
    let Some(shell) = bench.processes().into_iter().find(|process| process.own_pid() == Some(number)) else {
        return not_applicable("the job's processes cannot be seen from here");
    };
    for process in processes::all() {
        // One that has no parent any more has just ended; it was one of the shell's commands or nobody's.
        let own = process.pid == shell.pid || process.parent().is_none_or(|parent| parent == shell.pid);
        let pid = process.pid;
        ensure!(own || !process.environ_shows(&value), "process {pid} shows the value in its environment");
        ensure!(!process.environ_shows(&content), "process {pid} shows a file's content in its environment");
        let shown = process.arguments_show(&value) || process.arguments_show(&content);
        ensure!(!shown, "process {pid} shows a value in its arguments");
    }
    let handle = serde_json::to_string(&job.environment.handle()).unwrap_or_default();
    ensure!(!handle.contains(&value) && !handle.contains(&content), "the handle shows a value");
    job.stop(&key, Stop::Kill).await?;
    reading.end().await?;
    job.finish().await
}

/// Where the core puts files of variables: beside the project.
pub(super) fn file_of(place: &Place, name: &str) -> String {
    format!("{}/group/conformance.tmp/{name}", place.builds_dir)
}

/// Ends a check that has to look at files of a place on another machine.
pub(super) async fn shares_files(bench: &Bench, job: &TestJob<'_>, place: &Place) -> Outcome {
    let path = file_of(place, &bench.unique("here"));
    let folder = file_of(place, "");
    let script = format!("mkdir -p '{folder}'\necho here >'{path}'\n");
    job.run(&stage(900), script).await?.expect("")?;
    if fs::symlink_metadata(&path).is_err() {
        return not_applicable("the job's files cannot be seen from here");
    }
    job.run(&stage(901), format!("rm '{path}'\n")).await?.expect("")
}
