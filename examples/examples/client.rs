//! The client alone: take one job, write its log, report its end. The server is a coordinator in this process.

use runner_api::{
    ClientBuilder, FailureReason, JobAnswer, JobRequest, JobUpdate, PatchResult, RunnerCredentials,
    RunnerInfo, TraceOutput, UpdateResult,
};
use runner_coordinator::core::{Coordinator, NewJob, NewRunner, Options};
use runner_coordinator::http::{Server, ServerOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let server = Server::bind(
        ([127, 0, 0, 1], 0).into(),
        Coordinator::new(Options::default()),
        ServerOptions::new(folder.path()),
    )
    .await?;
    let gitlab = server.handle();
    let runner = gitlab.create_runner(NewRunner::default());
    gitlab.enqueue(NewJob::new(serde_json::json!({ "job_info": { "name": "greet" } })));

    let client = ClientBuilder::new(&server.url())?.info(RunnerInfo::new("example", "0.1.0")).build()?;
    let credentials = RunnerCredentials::new(secrecy::ExposeSecret::expose_secret(&runner.token));
    let JobAnswer::Job(job) = client.request_job(&JobRequest::new(credentials)).await? else {
        return Err("there is no job".into());
    };
    println!("took job {} ({})", job.id, job.job_info.name);

    let client = client.job(job.id, job.token.clone());
    client.update(&JobUpdate::running()).await;

    let log = format!("hello from {}\n", job.job_info.name);
    let sent = client.patch_trace(0, log.clone().into(), false).await;
    let update = match sent.result {
        PatchResult::Accepted { .. } => JobUpdate::success(),
        _ => JobUpdate::failed(FailureReason::RunnerSystemFailure),
    };
    let output = TraceOutput::new(crc32fast::hash(log.as_bytes()), log.len() as u64);
    let outcome = client.update(&update.with_output(output)).await;
    assert_eq!(outcome.result, UpdateResult::Succeeded, "{:?}", outcome.error);

    println!("GitLab has: {:?}", String::from_utf8_lossy(&gitlab.read_trace(job.id, 0)));
    println!("job {} is {:?}", job.id, gitlab.state(job.id).ok_or("the job is gone")?);
    server.shutdown().await;
    Ok(())
}
