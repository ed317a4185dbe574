//! Two hundred jobs that do nothing, ten at a time.

use runner_coordinator::core::JobId;

use crate::bash::Bash;
use crate::figure::{Figure, Samples, Target};
use crate::gitlab::{GitLab, job};
use crate::job::stages;
use crate::process::cpu;
use crate::runner::{Config, Runner};
use crate::{Context, Error};

const AT_A_TIME: usize = 10;

pub async fn measure(context: &Context) -> Result<Vec<Figure>, Error> {
    let count = if context.quick { 50 } else { 200 };
    let bash = Bash::new(context)?;
    let (mut wall, mut shells) = (Samples::default(), Samples::default());
    let (mut own, mut children) = (Samples::default(), Samples::default());
    let config = Config { concurrent: AT_A_TIME, check_interval: 1, entries: 1 };
    for _ in 0..context.repetitions(5) {
        let mut gitlab = GitLab::start().await?;
        let runner = Runner::start(context, &gitlab, &config)?;
        let stages = stages(&mut gitlab).await?;
        let before = cpu(runner.pid())?;
        let jobs: Vec<JobId> = gitlab
            .handle()
            .with(|gitlab, now| (0..count).map(|_| gitlab.enqueue(job(&["true"]), now)).collect());
        let done = gitlab.finished(&jobs).await?;
        let first = done.iter().map(|(_, times)| times.assigned).min().ok_or("no job")?;
        let last = done.iter().map(|(_, times)| times.finished).max().ok_or("no job")?;
        wall.push(last.duration_since(first)?.as_secs_f64());
        let used = cpu(runner.pid())?.since(before);
        own.push(used.own.as_secs_f64() * 1e3 / count as f64);
        children.push(used.children.as_secs_f64() * 1e3 / count as f64);
        runner.drain().await?;
        gitlab.stop().await;
        shells.push(bash.run_many(count, stages, AT_A_TIME).await?.as_secs_f64());
    }
    let most = 2.5 * count as f64 / 200.0;
    Ok(vec![
        Figure::new(format!("{count} jobs `true`, {AT_A_TIME} at a time: wall"), "s", wall)
            .reference("their shells alone", shells)
            .target(Target::AtMost(most))
            .official("19.3"),
        Figure::new("manager's CPU per job", "ms", own).target(Target::AtMost(1.0)).official("6.3"),
        Figure::new("CPU per job of supervisors and shells", "ms", children).official("46"),
    ])
}
