//! A job that does nothing, and the pause before the next one.

use runner_coordinator::core::JobId;
use serde_json::json;

use crate::bash::Bash;
use crate::figure::{Figure, Samples, Target};
use crate::gitlab::{GitLab, job, job_with};
use crate::runner::{Config, Runner};
use crate::{Context, Error};

pub async fn measure(context: &Context) -> Result<Vec<Figure>, Error> {
    let mut gitlab = GitLab::start().await?;
    let runner = Runner::start(context, &gitlab, &Config { concurrent: 1, check_interval: 1, entries: 1 })?;
    let stages = stages(&mut gitlab).await?;
    let bash = Bash::new(context)?;

    let (mut whole, mut shells, mut pause) = (Samples::default(), Samples::default(), Samples::default());
    for _ in 0..context.repetitions(25) {
        let jobs: Vec<JobId> = (0..2).map(|_| gitlab.handle().enqueue(job(&["true"]))).collect();
        let done = gitlab.finished(&jobs).await?;
        whole.extend(done.iter().map(|(_, times)| times.length().as_secs_f64() * 1e3));
        if let [(_, first), (_, second)] = done[..] {
            pause.push(second.assigned.duration_since(first.finished)?.as_secs_f64() * 1e3);
        }
        shells.push(bash.run(stages).await?.as_secs_f64() * 1e3);
    }
    runner.drain().await?;
    gitlab.stop().await;
    Ok(vec![
        Figure::new(format!("job `true` ({stages} stages): handed out → final update"), "ms", whole)
            .reference("its shells alone", shells)
            .target(Target::Over(12.0))
            .official("56 (51–59)"),
        Figure::new("end of a job → next one handed out", "ms", pause)
            .target(Target::AtMost(10.0))
            .official("946 (940–949)"),
    ])
}

/// How many stages with a shell such a job has, by what it says itself.
pub async fn stages(gitlab: &mut GitLab) -> Result<usize, Error> {
    let features = json!({ "trace_sections": true, "failure_reasons": ["script_failure"] });
    let id = gitlab.handle().enqueue(job_with(&["true"], json!({ "features": features })));
    gitlab.finished(&[id]).await?;
    let trace = gitlab.handle().read_trace(id, 0);
    let trace = String::from_utf8_lossy(&trace);
    let own = |line: &&str| line.contains("section_start:") && !line.contains(":prepare_executor");
    match trace.split('\r').filter(own).count() {
        0 => Err(format!("the job shows no sections:\n{trace}").into()),
        stages => Ok(stages),
    }
}
