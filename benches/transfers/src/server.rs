//! The other process: a coordinator behind proxies that reset connections.

use std::path::PathBuf;

use runner_coordinator::core::{Coordinator, NewJob, NewRunner, Options};
use runner_coordinator::http::{Server, ServerOptions};
use secrecy::ExposeSecret;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::Error;
use crate::proxy::{self, Cuts};

/// Serves one job until stdin is closed. The first line on stdout is the URL, the second the runner's token; after that
/// each line of numbers on stdin plans resets, and is answered with how many of the plan before are left.
pub async fn serve(folder: PathBuf) -> Result<(), Error> {
    let server = Server::bind(
        ([127, 0, 0, 1], 0).into(),
        Coordinator::new(Options::default()),
        ServerOptions::new(folder),
    )
    .await?;
    let cuts = Cuts::default();
    let api = proxy::start(server.address(), cuts.clone()).await?;
    let storage = proxy::start(server.address(), cuts.clone()).await?;

    let gitlab = server.handle();
    gitlab
        .with(|coordinator, _now| coordinator.options_mut().storage_url = Some(format!("http://{storage}")));
    let runner = gitlab.create_runner(NewRunner::default());
    gitlab.enqueue(NewJob::new(serde_json::json!({ "job_info": { "name": "transfers" } })));
    println!("http://{api}\n{}", runner.token.expose_secret());

    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let planned: Vec<u64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        println!("{}", cuts.plan(planned));
    }
    server.shutdown().await;
    Ok(())
}
