//! `runner exec`: how soon a job speaks, and what many small jobs cost.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::figure::{Figure, Samples, Target};
use crate::runner::search_path;
use crate::{Context, Error};

/// Files of the small repository.
const FILES: usize = 20;
/// Longer than any run takes.
const PATIENCE: Duration = Duration::from_secs(600);

/// From the start of the program to what the job's script prints.
pub async fn measure_start(context: &Context) -> Result<Vec<Figure>, Error> {
    let (mut first, mut whole) = (Samples::default(), Samples::default());
    let (mut script, mut by_hand) = (Samples::default(), Samples::default());
    let checkout = Checkout::new(context, "hello:\n  script:\n    - echo spoken; sleep 0.3\n").await?;
    for _ in 0..context.repetitions(15) {
        let times = checkout.exec(&["--jobs", "1"]).await?;
        first.push(ms(times.first));
        script.push(ms(times.script.ok_or("the job said nothing")?));
        whole.push(ms(times.whole));
        by_hand.push(ms(checkout.by_hand().await?));
    }
    Ok(vec![
        Figure::new("exec → first line of a job's output", "ms", first)
            .reference("git clone, then the script", by_hand.clone())
            .target(Target::AtMost(150.0)),
        Figure::new("exec → first line of its script", "ms", script)
            .reference("git clone, then the script", by_hand)
            .target(Target::AtMost(150.0)),
        Figure::new("exec of a job that sleeps 300 ms: whole", "ms", whole),
    ])
}

/// Many jobs that print a line.
pub async fn measure_many(context: &Context) -> Result<Vec<Figure>, Error> {
    let count: usize = if context.quick { 50 } else { 500 };
    let processors = std::thread::available_parallelism()?.get();
    let mut figures = Vec::new();
    for (what, strategy, jobs) in
        [("", "fetch", processors), ("", "fetch", 4 * processors), (", no sources", "none", processors)]
    {
        let mut text = format!("variables:\n  GIT_STRATEGY: {strategy}\n");
        for number in 0..count {
            text.push_str(&format!("job{number}:\n  script:\n    - echo spoken\n"));
        }
        let checkout = Checkout::new(context, &text).await?;
        let (mut ours, mut shells) = (Samples::default(), Samples::default());
        let per_job = |time: Duration| ms(time) / count as f64;
        for _ in 0..if context.quick { 1 } else { 3 } {
            ours.push(per_job(checkout.exec(&["--jobs", &jobs.to_string()]).await?.whole));
            shells.push(per_job(bare(count, jobs).await?));
        }
        figures.push(
            Figure::new(format!("{count} jobs `echo`, {jobs} at a time{what}: each"), "ms", ours)
                .reference("bare shells", shells)
                .target(Target::Over(15.0)),
        );
    }
    Ok(figures)
}

/// As many shells with the same script, so many at a time.
async fn bare(count: usize, at_a_time: usize) -> Result<Duration, Error> {
    let began = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..count {
        if running.len() == at_a_time {
            running.join_next().await.ok_or("nothing runs")???;
        }
        running.spawn(async {
            let output =
                Command::new("bash").args(["-c", "echo spoken"]).stdin(Stdio::null()).output().await?;
            if output.stdout != b"spoken\n" {
                return Err(Error::from("a bare shell failed"));
            }
            Ok(())
        });
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    Ok(began.elapsed())
}

/// A small repository with one commit.
struct Checkout<'a> {
    context: &'a Context,
    folder: TempDir,
}

struct Times {
    /// The first line of any job.
    first: Duration,
    /// The first line of a script.
    script: Option<Duration>,
    whole: Duration,
}

impl<'a> Checkout<'a> {
    async fn new(context: &'a Context, pipeline: &str) -> Result<Self, Error> {
        let folder = tempfile::tempdir_in(&context.folder)?;
        let this = Self { context, folder };
        std::fs::create_dir(this.folder.path().join("home"))?;
        std::fs::create_dir(this.root())?;
        for number in 0..FILES {
            std::fs::write(this.root().join(format!("file-{number}")), format!("{number}\n"))?;
        }
        std::fs::write(this.root().join(".gitlab-ci.yml"), pipeline)?;
        for arguments in [
            &["init", "--quiet", "--initial-branch=main"][..],
            &["add", "."],
            &[
                "-c",
                "user.name=Bench",
                "-c",
                "user.email=bench@example.com",
                "commit",
                "--quiet",
                "-m",
                "start",
            ],
        ] {
            let status = this.command("git").args(arguments).status().await?;
            if !status.success() {
                return Err(format!("`git {}` ended with {status}", arguments.join(" ")).into());
            }
        }
        Ok(this)
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.env_clear().env("PATH", search_path()).env("HOME", self.folder.path().join("home"));
        command.current_dir(self.root()).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs the pipeline.
    async fn exec(&self, arguments: &[&str]) -> Result<Times, Error> {
        let mut command = self.command(&self.context.program);
        command.arg("exec").args(arguments).arg("--state-dir").arg(self.folder.path().join("state"));
        command.stdout(Stdio::piped()).stderr(Stdio::inherit());
        let began = Instant::now();
        let mut child = command.spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        let (mut first, mut script) = (None, None);
        while let Some(line) = tokio::time::timeout(PATIENCE, lines.next_line()).await?? {
            if line.contains(" | ") {
                first.get_or_insert_with(|| began.elapsed());
            }
            if line.ends_with("| spoken") {
                script.get_or_insert_with(|| began.elapsed());
            }
        }
        let status = child.wait().await?;
        if !status.success() {
            return Err(format!("`runner exec` ended with {status}").into());
        }
        Ok(Times { first: first.ok_or("no job said anything")?, script, whole: began.elapsed() })
    }

    /// What a user would type instead, up to the script's end.
    async fn by_hand(&self) -> Result<Duration, Error> {
        let copy = self.folder.path().join("copy");
        let text =
            "git clone --quiet --depth 20 \"file://$PWD\" \"$0\" && cd \"$0\" && bash -c 'echo spoken'";
        let began = Instant::now();
        let output = self.command("sh").args(["-c", text]).arg(&copy).output().await?;
        let took = began.elapsed();
        if output.stdout != b"spoken\n" {
            return Err("cloning by hand failed".into());
        }
        std::fs::remove_dir_all(copy)?;
        Ok(took)
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
