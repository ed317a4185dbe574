//! From exec to the first request for a job.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::figure::{Figure, Samples, Target};
use crate::runner::{self, Config, Runner};
use crate::{Context, Error};

const PATIENCE: Duration = Duration::from_secs(10);

pub async fn measure(context: &Context) -> Result<Vec<Figure>, Error> {
    let (mut request, mut version, mut nothing) =
        (Samples::default(), Samples::default(), Samples::default());
    for _ in 0..context.repetitions(20) {
        request.push(ms(first_request(context).await?));
        let mut command = runner::command(context, &context.folder);
        version.push(ms(timed(command.arg("--version")).await?));
        nothing.push(ms(timed(&mut Command::new("true")).await?));
    }
    Ok(vec![
        Figure::new("exec → first POST jobs/request", "ms", request)
            .reference("exec of true", nothing.clone())
            .target(Target::AtMost(10.0))
            .official("67 (58–67)"),
        Figure::new("--version", "ms", version).reference("exec of true", nothing).official("63 (56–63)"),
    ])
}

/// Until its bytes arrive.
async fn first_request(context: &Context) -> Result<Duration, Error> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let config = Config { concurrent: 1, check_interval: 3, entries: 1 };
    let began = Instant::now();
    let runner = Runner::start_at(context, &url, ["glrt-bench".to_owned()], &config)?;
    let arrives = async {
        let (mut connection, _) = listener.accept().await?;
        let mut seen = Vec::new();
        while !seen.windows(13).any(|part| part == b"/jobs/request") {
            if connection.read_buf(&mut seen).await? == 0 {
                return Err("the first request is none for a job".into());
            }
        }
        Ok::<_, Error>(began.elapsed())
    };
    let took = tokio::time::timeout(PATIENCE, arrives).await.map_err(|_| "no request comes")??;
    runner.kill().await?;
    Ok(took)
}

async fn timed(command: &mut Command) -> Result<Duration, Error> {
    let began = Instant::now();
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().await?;
    if !status.success() {
        return Err("a program failed".into());
    }
    Ok(began.elapsed())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
