//! Cleaning up.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::super::bench::{Bench, During as _, Outcome, WAIT, ensure, failed, not_applicable, stage};
use super::super::processes;
use super::variables::{file_of, shares_files};
use crate::executor::{CleanupReason, SecretVariable, StageStatus};

pub(super) async fn cleaning_up_ends_what_runs(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    let key = stage(1);
    let mut reading = job.begin(&key, format!("trap '' TERM\n{WAIT}")).await?;
    reading.until("ready\n").await?;
    let visible = !bench.processes().is_empty();
    let left = job.clean().await?;
    ensure!(left.is_empty(), "cleanup left {left:?}");
    let status = job.status(&key).await?;
    // What it is then, an executor may know or not; it may not be running, nor have ended well.
    let wrong = match &status {
        StageStatus::Running => true,
        StageStatus::Ended(end) => end.is_success(),
        StageStatus::NotStarted | StageStatus::Unknown | StageStatus::Lost(_) => false,
    };
    ensure!(!wrong, "after cleanup a stage that was running is {status:?}");
    if !visible {
        return not_applicable("the job's processes cannot be seen from here");
    }
    no_process_is_left(bench).await
}

pub(super) async fn cleaning_up_may_be_repeated(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    job.run(&stage(1), "echo text\n").await?.expect("text\n")?;
    for time in ["first", "second", "third"] {
        let left = job.clean().await?;
        ensure!(left.is_empty(), "the {time} cleanup left {left:?}");
    }
    job.finish().await
}

pub(super) async fn what_was_never_prepared_is_clean(bench: &Bench) -> Outcome {
    let provider = bench.host.provider().await;
    bench.unprepared(&provider).await?.finish().await
}

pub(super) async fn making_an_environment_makes_nothing_else(bench: &Bench) -> Outcome {
    if bench.host.folders().is_empty() {
        return not_applicable("the host names no folders");
    }
    let provider = bench.host.provider().await;
    let before = kept(bench);
    let job = bench.unprepared(&provider).await?;
    let new: Vec<PathBuf> = kept(bench).difference(&before).cloned().collect();
    ensure!(new.is_empty(), "before prepare there is already {new:?}");
    job.finish().await
}

pub(super) async fn cleaning_up_leaves_no_file(bench: &Bench) -> Outcome {
    let provider = bench.host.provider().await;
    let before = kept(bench);
    let job = bench.unprepared(&provider).await?;
    let place = job.prepare().await?;
    let shared = shares_files(bench, &job, &place).await;
    job.run(&stage(1), "echo text\n").await?.expect("text\n")?;
    job.run(&stage(2), "exit 1\n").await?;
    job.finish().await?;
    let new: Vec<PathBuf> = kept(bench).difference(&before).cloned().collect();
    ensure!(new.is_empty(), "after cleanup there is still {new:?}");
    // Where there is nothing to look at, that is the verdict.
    shared?;
    if !place.shared {
        let left = fs::symlink_metadata(&place.builds_dir).is_ok();
        ensure!(!left, "the place is the job's alone, but {} is still there", place.builds_dir);
    }
    Ok(())
}

pub(super) async fn what_stays_is_said(bench: &Bench) -> Outcome {
    let (job, place) = bench.job().await?;
    shares_files(bench, &job, &place).await?;
    let path = file_of(&place, "TAMPERED");
    // Where the secret was there is now something that is not a file.
    let mut input = job.input(format!("rm '{path}'\nmkdir '{path}'\necho mine >'{path}/file'\n"));
    let value = "value".to_owned().into();
    input.secrets.push(SecretVariable { key: "TAMPERED".into(), value, file: Some(path.clone()) });
    job.start_with(&stage(1), input).await?;
    job.read(&stage(1), 0).end().await?.expect("")?;
    let said = job.clean().await;
    let stayed = Path::new(&path).exists();
    if stayed {
        fs::remove_dir_all(&path)
            .or_else(|_| fs::remove_file(&path))
            .or_else(|error| failed(format!("cannot remove {path}: {error}")))?;
    }
    match said {
        Ok(items) if stayed && items.is_empty() => {
            failed("something stayed, and cleanup says that nothing did")
        }
        Ok(items) if !stayed && !items.is_empty() => {
            failed(format!("cleanup speaks of {items:?}, which is gone"))
        }
        Ok(_) | Err(_) => job.finish().await,
    }
}

pub(super) async fn nothing_is_left_of_a_job(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    let key = stage(1);
    let own = processes::own_descriptors();
    let mut reading = job.begin(&key, WAIT).await?;
    reading.until("ready\n").await?;
    let jobs = bench.processes();
    if jobs.is_empty() {
        return not_applicable("the job's processes cannot be seen from here");
    }
    // What the job's processes have open and we had not: its pipes and files. They may not outlive it here.
    let theirs: BTreeSet<PathBuf> = jobs.iter().flat_map(processes::Process::descriptors).collect();
    let of_the_job: BTreeSet<PathBuf> = theirs.difference(&own).cloned().collect();
    let folders = bench.host.folders();
    job.stop(&key, crate::executor::Stop::Kill).await?;
    reading.end().await?;
    job.run(&stage(2), "echo text\n").await?.expect("text\n")?;
    job.finish().await?;
    no_process_is_left(bench).await?;
    bench.doing_now("waiting for descriptors of the job to be closed");
    loop {
        let open: Vec<PathBuf> = processes::own_descriptors()
            .into_iter()
            .filter(|path| of_the_job.contains(path) || folders.iter().any(|folder| path.starts_with(folder)))
            .collect();
        if open.is_empty() {
            return Ok(());
        }
        bench.doing_now(format!("waiting for descriptors of the job to be closed: {open:?}"));
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

pub(super) async fn a_failed_stage_is_no_obstacle(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    // As after a failed try of preparing: clean up for that reason, prepare again, go on.
    job.run(&stage(1), "exit 1\n").await?;
    bench.doing_now("cleaning up before another try");
    let remains = job.environment.cleanup(CleanupReason::PrepareFailed, super::super::bench::CLEANUP).await;
    let left = remains.during("cleanup")?.items;
    ensure!(left.is_empty(), "cleanup left {left:?}");
    job.prepare().await?;
    job.run(&stage(2), "echo again\n").await?.expect("again\n")?;
    job.finish().await
}

/// Waits until no process of the check's jobs is left; one that was killed takes a moment to end.
async fn no_process_is_left(bench: &Bench) -> Outcome {
    loop {
        let left: Vec<i32> = bench.processes().iter().map(|process| process.pid).collect();
        if left.is_empty() {
            return Ok(());
        }
        bench.doing_now(format!("waiting for the end of the job's processes {left:?}"));
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// What is in the folders where the executor keeps something of its jobs.
fn kept(bench: &Bench) -> BTreeSet<PathBuf> {
    bench.host.folders().iter().flat_map(|folder| processes::files_below(folder)).collect()
}
