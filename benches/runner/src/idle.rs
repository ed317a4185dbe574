//! Memory and CPU time without jobs.

use std::time::Duration;

use crate::figure::{Figure, Samples, Target};
use crate::gitlab::GitLab;
use crate::process::{cpu_of_threads, memory};
use crate::runner::{Config, Runner};
use crate::{Context, Error};

/// Until everything that is done once has been done.
const SETTLE: Duration = Duration::from_secs(4);

pub async fn measure(context: &Context) -> Result<Vec<Figure>, Error> {
    let mut figures = one(context, 1, 10.0, "70 (70–72), anonymous 18", "5–8 ms").await?;
    figures.extend(one(context, 50, 14.0, "74 (74–79), anonymous 21", "320 ms").await?);
    Ok(figures)
}

async fn one(
    context: &Context,
    entries: usize,
    most: f64,
    official_memory: &'static str,
    official_cpu: &'static str,
) -> Result<Vec<Figure>, Error> {
    let time = Duration::from_secs(if context.quick { 3 } else { 20 });
    let (mut resident, mut anonymous, mut threads, mut used) =
        (Samples::default(), Samples::default(), Samples::default(), Samples::default());
    for _ in 0..context.repetitions(2) {
        // Nothing is held: the runner asks each 3 s, as most do.
        let gitlab = GitLab::with(|options| options.long_poll = Duration::ZERO).await?;
        let config = Config { concurrent: 1, check_interval: 3, entries };
        let runner = Runner::start(context, &gitlab, &config)?;
        tokio::time::sleep(SETTLE).await;
        let before = cpu_of_threads(runner.pid())?;
        tokio::time::sleep(time).await;
        used.push((cpu_of_threads(runner.pid())? - before).as_secs_f64() * 1e3);
        let memory = memory(runner.pid())?;
        resident.push(memory.resident);
        anonymous.push(memory.anonymous);
        threads.push(memory.threads);
        runner.drain().await?;
        gitlab.stop().await;
    }
    let entries = if entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") };
    Ok(vec![
        Figure::new(format!("idle, {entries}: resident memory"), "MiB", resident)
            .target(Target::AtMost(most))
            .official(official_memory),
        Figure::new(format!("idle, {entries}: anonymous memory"), "MiB", anonymous),
        Figure::new(format!("idle, {entries}: threads"), "", threads),
        Figure::new(format!("idle, {entries}: CPU in {} s", time.as_secs()), "ms", used)
            .official(official_cpu),
    ])
}
