//! A runner in one file: takes one job, runs its script with `sh`, and reports how it went.
//!
//! `cargo run -p runner-examples --example one_job -- URL TOKEN`

use std::error::Error;
use std::time::Duration;

use runner_api::{
    Acceptance, ClientBuilder, FailureReason, Job, JobAnswer, JobClient, JobRequest, JobUpdate, PatchResult,
    RunnerCredentials, RunnerInfo, TraceOutput, UpdateResult,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(token)) = (arguments.next(), arguments.next()) else {
        return Err("usage: one_job URL TOKEN".into());
    };
    println!("{}", take_one(&url, &token).await?);
    Ok(())
}

/// Takes one job and sees it through. What became of it.
pub async fn take_one(url: &str, token: &str) -> Result<String, Box<dyn Error>> {
    let mut info = RunnerInfo::new("one-job", "0.1.0");
    info.features.variables = true;
    info.features.multi_build_steps = true;
    info.features.return_exit_code = true;
    let client = ClientBuilder::new(url)?.info(info).build()?;
    let runner = RunnerCredentials::new(token).with_system_id("s_0123456789ab");
    client.verify(&runner).await?;

    let job = match client.request_job(&JobRequest::new(runner)).await? {
        JobAnswer::Job(job) => job,
        // The job is ours and cannot be read: GitLab should hear of that now, not at the job's time limit.
        JobAnswer::Unreadable(broken) => {
            if let (Some(id), Some(token)) = (broken.id(), broken.token()) {
                let failed = JobUpdate::failed(FailureReason::RunnerSystemFailure);
                client.job(id, token.clone()).update(&failed).await;
            }
            return Err(broken.into());
        }
        _ => return Ok("there is nothing to do".to_owned()),
    };
    let at_gitlab = client.job(job.id, job.token.clone());
    match at_gitlab.accept().await {
        Acceptance::Accepted | Acceptance::Unconfirmed(_) => {}
        _ => return Ok(format!("nobody wants job {} any more", job.id)),
    }

    let (log, code) = run(&job).await?;
    let update = match code {
        Some(0) => JobUpdate::success(),
        Some(code) => JobUpdate::failed(FailureReason::ScriptFailure).with_exit_code(code),
        None => JobUpdate::failed(FailureReason::ScriptFailure),
    };
    let delivered = deliver(&at_gitlab, &log, update).await;
    let end = code.map_or("killed by a signal".to_owned(), |code| format!("exit code {code}"));
    Ok(format!(
        "job {} ({}): {end}, {}",
        job.id,
        job.job_info.name,
        if delivered { "delivered" } else { "lost" }
    ))
}

/// Runs the steps one after the other until one fails. The output, and the exit code of the last one that ran.
async fn run(job: &Job) -> Result<(Vec<u8>, Option<i32>), Box<dyn Error>> {
    let mut log = Vec::new();
    for warning in job.warnings() {
        log.extend_from_slice(format!("WARNING: {warning}\n").as_bytes());
    }
    if job.lost_script().is_some() {
        return Ok((log, None));
    }
    for step in &job.steps {
        let output = tokio::process::Command::new("sh")
            .arg("-ec")
            .arg(step.script.join("\n"))
            .envs(job.variables.iter().map(|variable| (&variable.key, &variable.value)))
            .kill_on_drop(true)
            .output()
            .await?;
        log.extend_from_slice(&output.stdout);
        log.extend_from_slice(&output.stderr);
        if !output.status.success() {
            return Ok((log, output.status.code()));
        }
    }
    Ok((log, Some(0)))
}

/// Sends the log, then the end, and again until GitLab has both.
async fn deliver(job: &JobClient, log: &[u8], update: JobUpdate) -> bool {
    let update = update.with_output(TraceOutput::new(crc32fast::hash(log), log.len() as u64));
    let mut sent = 0;
    for _ in 0..20 {
        let piece = log.get(sent..).unwrap_or_default();
        let piece = &piece[..piece.len().min(1 << 20)];
        let pause = match job.patch_trace(sent as u64, piece.to_vec().into(), false).await.result {
            PatchResult::Accepted { end } if end == log.len() as u64 => {
                sent = log.len();
                let outcome = job.update(&update).await;
                match outcome.result {
                    UpdateResult::Succeeded | UpdateResult::Abort => return true,
                    UpdateResult::TraceValidationFailed => sent = 0,
                    _ => {}
                }
                outcome.update_interval.unwrap_or(Duration::from_secs(1))
            }
            PatchResult::Accepted { end: there } | PatchResult::RangeMismatch { server_len: there } => {
                sent = usize::try_from(there).unwrap_or(log.len());
                Duration::ZERO
            }
            PatchResult::Abort => return false,
            _ => Duration::from_secs(1),
        };
        tokio::time::sleep(pause).await;
    }
    false
}
