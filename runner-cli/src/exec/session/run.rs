//! A run from its beginning to its end: who is started, and in which order everybody ends.

use std::sync::Arc;
use std::time::Duration;

use runner_coordinator::core::{Coordinator, Options};
use runner_coordinator::http::{Server, ServerOptions};

use super::Session;
use super::news::Reporter;
use crate::args::ExecArgs;
use crate::error::Exit;
use crate::exec::project::Project;
use crate::exec::run::{Sources, Surroundings};
use crate::exec::source::Files;
use crate::exec::state::RunFolder;
use crate::exec::stop::Stop;
use crate::exec::{ExecError, runner};

/// Everything that is known before the run begins.
#[derive(Debug)]
pub(in crate::exec) struct Plan<'a> {
    pub(in crate::exec) arguments: &'a ExecArgs,
    pub(in crate::exec) surroundings: &'a Surroundings,
    pub(in crate::exec) project: &'a Project,
    pub(in crate::exec) folder: &'a RunFolder,
    pub(in crate::exec) sources: &'a Sources,
    pub(in crate::exec) files: &'a Files,
}

/// Runs the pipeline to its end, or as far as `stop` lets it.
pub(in crate::exec) async fn run(plan: &Plan<'_>, stop: &mut Stop) -> Result<Exit, ExecError> {
    let server = serve(plan.folder).await?;
    let (reporter, news) = Reporter::new();
    let arguments = plan.arguments;
    let program = &plan.surroundings.program;
    let concurrent = parallelism(arguments);
    let (grace, environment) = (arguments.grace.0, plan.sources.environment(plan.project));
    let manager =
        runner::manager(&server, plan.folder, program, concurrent, grace, environment, Arc::new(reporter))?;
    let handle = manager.handle();
    let mut session = Session::prepare(plan, &server, handle.clone())?;
    let events = server.handle().events();
    // Jobs first: a runner that finds none makes a pause.
    session.act();
    let running = tokio::spawn(manager.run());
    let outcome = session.follow(events, news, stop).await;
    let Some(outcome) = outcome else {
        return Err(ExecError::Left);
    };
    // Everything has ended; what is left are requests for more.
    handle.drain();
    if running.await.is_err() {
        tracing::error!("the runner inside ended unexpectedly");
    }
    server.shutdown().await;
    Ok(session.finish(&outcome))
}

async fn serve(folder: &RunFolder) -> Result<Server, ExecError> {
    let (seed, _) = uuid::Uuid::new_v4().as_u64_pair();
    let options = Options {
        seed,
        // Jobs of different runs have different ids.
        first_job: folder.pipeline.saturating_mul(1000) + 1,
        held_requests_get_jobs: true,
        // The runner's own, which may be shorter than a second.
        watched_interval: Duration::ZERO,
        trace_limit: u64::MAX,
        ..Options::default()
    };
    let artifacts = folder.folder("artifacts")?;
    Server::bind(([127, 0, 0, 1], 0).into(), Coordinator::new(options), ServerOptions::new(artifacts))
        .await
        .map_err(|source| ExecError::System { what: "cannot listen on 127.0.0.1", source })
}

fn parallelism(arguments: &ExecArgs) -> usize {
    let machine = || std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    arguments.parallelism.and_then(|jobs| usize::try_from(jobs).ok()).unwrap_or_else(machine)
}
