//! The reference for jobs: what the shells of their stages cost alone.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::Command;
use tokio::task::JoinSet;

use crate::runner::search_path;
use crate::{Context, Error};

/// A login shell that runs an empty script, with the same empty home as the runner.
#[derive(Debug, Clone)]
pub struct Bash {
    home: PathBuf,
    script: PathBuf,
}

impl Bash {
    pub fn new(context: &Context) -> Result<Self, Error> {
        let home = context.folder.join("home-of-reference");
        std::fs::create_dir_all(&home)?;
        let script = home.join("../empty-script");
        std::fs::write(&script, "")?;
        Ok(Self { home, script })
    }

    /// So many, one after the other.
    pub async fn run(&self, times: usize) -> Result<Duration, Error> {
        let began = Instant::now();
        for _ in 0..times {
            let status = shell(&self.home, &self.script).status().await?;
            if !status.success() {
                return Err("a login shell failed".into());
            }
        }
        Ok(began.elapsed())
    }

    /// So many chains of so many, at most so many chains at a time.
    pub async fn run_many(&self, chains: usize, length: usize, at_a_time: usize) -> Result<Duration, Error> {
        let began = Instant::now();
        let mut running = JoinSet::new();
        for _ in 0..chains {
            if running.len() == at_a_time {
                running.join_next().await.ok_or("nothing runs")???;
            }
            let this = self.clone();
            running.spawn(async move { this.run(length).await });
        }
        while let Some(done) = running.join_next().await {
            done??;
        }
        Ok(began.elapsed())
    }
}

fn shell(home: &Path, script: &Path) -> Command {
    let mut command = Command::new("bash");
    command.arg("--login").arg(script).env_clear().env("PATH", search_path()).env("HOME", home);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}
