//! A hundred jobs that sleep.

use std::collections::BTreeMap;
use std::time::Duration;

use runner_coordinator::core::EventKind;

use crate::figure::{Figure, Samples, Target};
use crate::gitlab::{GitLab, job};
use crate::log::moment;
use crate::process::{children, cpu_of_threads, memory, shares};
use crate::runner::{Config, Runner};
use crate::{Context, Error};

const JOBS: usize = 100;

pub async fn measure(context: &Context) -> Result<Vec<Figure>, Error> {
    let time = Duration::from_secs(if context.quick { 2 } else { 10 });
    let mut table: [Samples; 7] = Default::default();
    for _ in 0..context.repetitions(2) {
        let values = once(context, time).await?;
        for (samples, value) in table.iter_mut().zip(values) {
            samples.push(value);
        }
    }
    let [resident, anonymous, threads, used, began, shells, shares] = table;
    Ok(vec![
        Figure::new(format!("{JOBS} jobs asleep: manager's resident memory"), "MiB", resident)
            .target(Target::AtMost(18.0))
            .official("98 (96–98), anonymous 45"),
        Figure::new("the same, anonymous", "MiB", anonymous),
        Figure::new("the same, threads", "", threads).official("107"),
        Figure::new(format!("the same, manager's CPU in {} s", time.as_secs()), "ms", used).official("40"),
        Figure::new(format!("first one handed out → {JOBS} asleep"), "s", began).official("1.8 (1.8–2.0)"),
        Figure::new(format!("{JOBS} supervisors: resident memory, sum"), "MiB", shells).official("none"),
        Figure::new("the same, shared memory counted once", "MiB", shares).official("none"),
    ])
}

async fn once(context: &Context, time: Duration) -> Result<[f64; 7], Error> {
    let mut gitlab = GitLab::start().await?;
    let config = Config { concurrent: JOBS, check_interval: 1, entries: 1 };
    let runner = Runner::start(context, &gitlab, &config)?;
    gitlab.handle().with(|gitlab, now| {
        for _ in 0..JOBS {
            gitlab.enqueue(job(&["echo \"asleep $EPOCHREALTIME\"; exec sleep 10000"]), now);
        }
    });
    let mut first = None;
    let mut asleep = BTreeMap::new();
    while asleep.len() < JOBS {
        let event = gitlab.event().await?;
        match event.kind {
            EventKind::JobAssigned { .. } => first = first.or(Some(event.at)),
            EventKind::TraceAppended { job, .. } => {
                let trace = gitlab.handle().read_trace(job, 0);
                let trace = String::from_utf8_lossy(&trace);
                if let Some((_, said)) = trace.lines().find_map(|line| line.split_once("O asleep ")) {
                    asleep.insert(job, moment(said)?);
                }
            }
            EventKind::JobFinished { job, .. } => return Err(format!("job {job} ended").into()),
            _ => {}
        }
    }
    let last = asleep.values().max().ok_or("no job")?;
    let began = last.duration_since(first.ok_or("no job")?)?.as_secs_f64();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = cpu_of_threads(runner.pid())?;
    tokio::time::sleep(time).await;
    let used = (cpu_of_threads(runner.pid())? - before).as_secs_f64() * 1e3;
    let manager = memory(runner.pid())?;
    let (mut resident, mut share) = (0.0, 0.0);
    for pid in children(runner.pid())? {
        if let Some((all, own)) = shares(pid) {
            resident += all;
            share += own;
        }
    }
    runner.interrupt().await?;
    gitlab.stop().await;
    Ok([manager.resident, manager.anonymous, manager.threads, used, began, resident, share])
}
