//! Starting stages.

use super::super::bench::{Bench, During as _, Outcome, ensure, gate, stage};
use crate::executor::{StageEnd, StageKey, Started};

pub(super) async fn a_stage_runs_once(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    let key = stage(1);
    let input = job.input(format!("echo run\n{}", gate()));
    let first = job.environment.start(&key, input.clone()).await.during("start")?;
    ensure!(first == Started::New, "the first start says {first:?}");
    let mut reading = job.read(&key, 0);
    reading.until("ready\n").await?;
    let second = job.environment.start(&key, input.clone()).await.during("start")?;
    ensure!(second == Started::Running, "starting what runs says {second:?}");
    job.open_gate(&key).await?;
    reading.end().await?.expect("run\nready\n")?;
    let third = job.environment.start(&key, input).await.during("start")?;
    ensure!(third == Started::Ended, "starting what has ended says {third:?}");
    let status = job.status(&key).await?;
    let ended = matches!(status, crate::executor::StageStatus::Ended(StageEnd::Exit(0)));
    ensure!(ended, "after another start the stage is {status:?}");
    job.finish().await
}

pub(super) async fn attempts_are_different_stages(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    for attempt in 1..=3 {
        let key = StageKey::new(1, "get_sources", attempt);
        let input = job.input(format!("echo attempt {attempt}\n"));
        let started = job.environment.start(&key, input).await.during("start")?;
        ensure!(started == Started::New, "the start of attempt {attempt} says {started:?}");
        job.read(&key, 0).end().await?.expect(&format!("attempt {attempt}\n"))?;
    }
    job.finish().await
}

pub(super) async fn stages_may_have_any_name(bench: &Bench) -> Outcome {
    let (job, _) = bench.job().await?;
    let names = ["step_../../x y", "step_ü;'$(id)\n", "step_", "", &"step_long_".repeat(40)];
    for (ordinal, name) in (1..).zip(names) {
        let key = StageKey::new(ordinal, name, 1);
        job.run(&key, format!("echo {ordinal}\n")).await?.expect(&format!("{ordinal}\n"))?;
    }
    job.finish().await
}

pub(super) async fn files_of_a_job_stay_for_its_next_stage(bench: &Bench) -> Outcome {
    let (job, place) = bench.job().await?;
    let folder = format!("{}/group/conformance", place.builds_dir);
    let cache = format!("{}/group/conformance", place.cache_dir);
    let script =
        format!("mkdir -p '{folder}' '{cache}'\necho one >'{folder}/file'\necho two >'{cache}/file'\n");
    job.run(&stage(1), script).await?.expect("")?;
    job.run(&stage(2), format!("cat '{folder}/file' '{cache}/file'\nrm -r '{folder}' '{cache}'\n"))
        .await?
        .expect("one\ntwo\n")?;
    job.finish().await
}
