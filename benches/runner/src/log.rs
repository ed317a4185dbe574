//! A large log: how fast it arrives, and what that costs.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use runner_api::{
    ClientBuilder, JobAnswer, JobRequest, JobUpdate, RunnerCredentials, TraceOutput, UpdateResult,
};
use runner_coordinator::core::JobId;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::figure::{Figure, Samples, Target};
use crate::gitlab::{GitLab, job_with, variable};
use crate::process::{cpu, cpu_of, memory};
use crate::runner::{Config, Runner};
use crate::{Context, Error};

/// As many as one PATCH of the runner has at most.
const PIECE: usize = 1 << 20;
/// Length of the time in front of each line of the log.
const STAMP: usize = 32;
/// Each such line holds a value that is masked, if there are any.
const LINES_PER_SECRET: usize = 1000;

/// With so many masked variables.
pub async fn measure(context: &Context, masked: usize) -> Result<Vec<Figure>, Error> {
    let size = if context.quick { 32 << 20 } else { 256 << 20 };
    let content = Content::write(context, size, masked)?;
    let mut reference = Samples::default();
    let mut table: [Samples; 4] = Default::default();
    for _ in 0..context.repetitions(5) {
        reference.push(content.megabytes() / upload(&content.path).await?.as_secs_f64());
        let run = run(context, &content).await?;
        let values = [
            content.megabytes() / run.took.as_secs_f64(),
            run.manager.as_secs_f64() / content.megabytes() * 1e3,
            run.supervisor.as_secs_f64() / content.megabytes() * 1e3,
            run.peak,
        ];
        for (samples, value) in table.iter_mut().zip(values) {
            samples.push(value);
        }
    }
    let [rate, manager, supervisor, peak] = table;
    let what = match masked {
        0 => format!("log, {} MiB", size >> 20),
        _ => format!("log, {} MiB, {masked} masked variables", size >> 20),
    };
    let official = |plain, with_masks| if masked == 0 { plain } else { with_masks };
    Ok(vec![
        Figure::new(format!("{what}: first byte printed → final update"), "MB/s", rate)
            .reference("plain PATCHes", reference)
            .target(Target::Share(0.7))
            .official(official("59 (59–91)", "51 (50–56)")),
        Figure::new("manager's CPU per 10⁹ bytes", "s", manager)
            .target(Target::AtMost(2.5))
            .official(official("12.8 (10.6–12.8)", "16.7 (16.7–17.2)")),
        Figure::new("supervisor's CPU per 10⁹ bytes", "s", supervisor).official("none"),
        Figure::new("manager's peak memory", "MiB", peak)
            .target(Target::AtMost(20.0))
            .official(official("81", "82")),
    ])
}

/// What the job prints.
#[derive(Debug)]
struct Content {
    path: PathBuf,
    lines: usize,
    secrets: Vec<String>,
}

impl Content {
    /// Lines of 100 bytes.
    fn write(context: &Context, size: usize, masked: usize) -> Result<Self, Error> {
        let path = context.folder.join(format!("log-{masked}.txt"));
        let secrets: Vec<String> =
            (0..masked).map(|n| format!("{:016x}-Secret-{n:02}", spread(n as u64))).collect();
        let mut file = std::io::BufWriter::new(std::fs::File::create(&path)?);
        let lines = size / 100;
        let content = Self { path, lines, secrets };
        for number in 0..lines {
            writeln!(file, "{}", content.line(number))?;
        }
        file.flush()?;
        Ok(content)
    }

    fn line(&self, number: usize) -> String {
        let text = format!(
            "{number:>9} Compiling object {:016x} of target/module-{} {}",
            spread(number as u64),
            number % 97,
            self.secret(number)
        );
        format!("{text:.<99.99}")
    }

    /// The same as it has to arrive.
    fn masked(&self, number: usize) -> String {
        match self.secret(number) {
            "" => self.line(number),
            secret => self.line(number).replace(secret, "[MASKED]"),
        }
    }

    fn secret(&self, number: usize) -> &str {
        match self.secrets.get((number / LINES_PER_SECRET) % self.secrets.len().max(1)) {
            Some(secret) if number.is_multiple_of(LINES_PER_SECRET) => secret,
            _ => "",
        }
    }

    fn megabytes(&self) -> f64 {
        self.lines as f64 * 100.0 / 1e6
    }

    fn variables(&self) -> Vec<Value> {
        let secrets = self.secrets.iter().enumerate();
        let own = [variable("GIT_STRATEGY", "none", false)];
        own.into_iter()
            .chain(secrets.map(|(n, secret)| variable(&format!("SECRET_{n}"), secret, true)))
            .collect()
    }
}

struct Run {
    took: Duration,
    manager: Duration,
    supervisor: Duration,
    peak: f64,
}

async fn run(context: &Context, content: &Content) -> Result<Run, Error> {
    let mut gitlab = GitLab::start().await?;
    let runner = Runner::start(context, &gitlab, &Config { concurrent: 1, check_interval: 1, entries: 1 })?;
    let print = format!("echo \"begin $EPOCHREALTIME\"; cat '{}'", content.path.display());
    let supervisor = "echo; echo \"supervisor $(cat /proc/$PPID/stat)\"";
    let fields = json!({ "variables": content.variables() });
    let before = cpu(runner.pid())?;
    let id = gitlab.handle().enqueue(job_with(&[&print, supervisor], fields));
    let done = gitlab.finished(&[id]).await?;
    let used = cpu(runner.pid())?.since(before);
    let peak = memory(runner.pid())?.peak;
    let (_, times) = done.first().ok_or("no job")?;
    let said = said(&gitlab, id, content)?;
    runner.drain().await?;
    gitlab.stop().await;
    Ok(Run {
        took: times.finished.duration_since(said.begin)?,
        manager: used.own,
        supervisor: cpu_of(&said.stat)?.own,
        peak,
    })
}

struct Said {
    begin: SystemTime,
    stat: String,
}

/// What the job said about itself; an error when its log is not what it should be.
fn said(gitlab: &GitLab, id: JobId, content: &Content) -> Result<Said, Error> {
    if !gitlab.trace_is_complete(id) {
        return Err("the log did not arrive whole".into());
    }
    let printed = without_stamps(&gitlab.handle().read_trace(id, 0));
    let mut lines = printed.split(|byte| *byte == b'\n');
    let mut find = |word: &str| -> Result<String, Error> {
        let line =
            lines.find_map(|line| line.strip_prefix(word.as_bytes())).ok_or("the job did not say all")?;
        Ok(String::from_utf8_lossy(line).into_owned())
    };
    let begin = moment(&find("begin ")?)?;
    for number in 0..content.lines {
        if find("")? != content.masked(number) {
            return Err(format!("line {number} did not arrive as it should").into());
        }
    }
    Ok(Said { begin, stat: find("supervisor ")? })
}

/// What was printed: without the time in front of each line, parts of lines joined.
fn without_stamps(trace: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(trace.len());
    for line in trace.split(|byte| *byte == b'\n') {
        if line.get(STAMP - 1) == Some(&b'+') {
            text.pop();
        }
        text.extend_from_slice(line.get(STAMP..).unwrap_or_default());
        text.push(b'\n');
    }
    text
}

/// The time that bash's `EPOCHREALTIME` says.
pub fn moment(text: &str) -> Result<SystemTime, Error> {
    Ok(UNIX_EPOCH + Duration::from_secs_f64(text.trim().parse()?))
}

/// The reference: a file as the log of a job, by nothing but PATCHes.
async fn upload(path: &Path) -> Result<Duration, Error> {
    let gitlab = GitLab::start().await?;
    let credentials = RunnerCredentials::new(gitlab.token().expose_secret());
    gitlab.handle().enqueue(job_with(&["true"], json!({})));
    let client = ClientBuilder::new(&gitlab.url())?.build()?;
    let JobAnswer::Job(job) = client.request_job(&JobRequest::new(credentials)).await? else {
        return Err("the server has no job".into());
    };
    let job = client.job(job.id, job.token.clone());
    job.update(&JobUpdate::running()).await;
    let mut file = tokio::fs::File::open(path).await?;

    let began = Instant::now();
    let (mut offset, mut crc32) = (0, crc32fast::Hasher::new());
    loop {
        let mut piece = vec![0; PIECE];
        let mut filled = 0;
        while filled < PIECE {
            match file.read(&mut piece[filled..]).await? {
                0 => break,
                more => filled += more,
            }
        }
        if filled == 0 {
            break;
        }
        piece.truncate(filled);
        crc32.update(&piece);
        if let Some(error) = job.patch_trace(offset, Bytes::from(piece), false).await.error {
            return Err(error.into());
        }
        offset += filled as u64;
    }
    let update = JobUpdate::success().with_output(TraceOutput::new(crc32.finalize(), offset));
    if job.update(&update).await.result != UpdateResult::Succeeded {
        return Err("the final update was not taken".into());
    }
    let took = began.elapsed();
    gitlab.stop().await;
    Ok(took)
}

/// Numbers that do not look alike.
fn spread(number: u64) -> u64 {
    (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}
