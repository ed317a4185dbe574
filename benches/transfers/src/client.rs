//! The process that is measured.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use runner_api::transport::Body;
use runner_api::{
    ArtifactUpload, ClientBuilder, DownloadOptions, JobAnswer, JobClient, JobRequest, JobUpdate,
    RangeOptions, RunnerCredentials,
};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::content::{Content, Digesting, hex};
use crate::{Error, LIMIT_MIB, memory};

/// How often the caller begins again; one try more than there are resets.
const TRIES: u32 = 3;

/// Runs all phases and prints a line for each. Whether all of them held what they promise.
pub async fn measure(size: u64) -> Result<bool, Error> {
    let expected = Content { size, tells_length: true }.digest();
    println!("{} MiB, SHA-256 {}…; limit: {LIMIT_MIB} MiB of growth", size >> 20, &expected[..16]);
    println!(
        "{:<36} {:>6} {:>6} {:>8} {:>8} {:>10}  bytes",
        "", "resets", "tries", "seconds", "MiB/s", "growth MiB"
    );
    let mut good = true;

    let mut session = Session::start().await?;
    good &= session.upload("upload, length told", Content { size, tells_length: true }).await?;
    good &= session.download("download, from the start again", size, &expected).await?;
    session.end().await?;

    let mut session = Session::start().await?;
    good &= session.upload("upload, in chunks", Content { size, tells_length: false }).await?;
    good &= session.download_to("download, goes on where it broke", size, &expected).await?;
    good &= session.download_in_ranges("download, ranges in parallel", size, &expected).await?;
    session.end().await?;

    println!("{}", if good { "all as promised" } else { "NOT as promised" });
    Ok(good)
}

/// A server process with one running job.
struct Session {
    /// Artifacts of the server, and what is downloaded to a file. Removed at the end.
    folder: tempfile::TempDir,
    process: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
    job: JobClient,
}

impl Session {
    async fn start() -> Result<Self, Error> {
        let folder = tempfile::tempdir()?;
        let artifacts = folder.path().join("server");
        std::fs::create_dir(&artifacts)?;
        let mut process = Command::new(std::env::current_exe()?)
            .arg("serve")
            .arg(&artifacts)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdin = process.stdin.take().ok_or("the server has no stdin")?;
        let mut stdout = BufReader::new(process.stdout.take().ok_or("the server has no stdout")?).lines();
        let url = stdout.next_line().await?.ok_or("the server ended at once")?;
        let token = stdout.next_line().await?.ok_or("the server ended at once")?;

        let client = ClientBuilder::new(&url)?.build()?;
        let request = JobRequest::new(RunnerCredentials::new(token.as_str()));
        let JobAnswer::Job(job) = client.request_job(&request).await? else {
            return Err("the server has no job".into());
        };
        let job = client.job(job.id, job.token.clone());
        job.update(&JobUpdate::running()).await;
        Ok(Self { folder, process, stdin, stdout, job })
    }

    async fn end(mut self) -> Result<(), Error> {
        drop(self.stdin);
        self.process.wait().await?;
        self.folder.close()?;
        Ok(())
    }

    async fn upload(&mut self, name: &str, content: Content) -> Result<bool, Error> {
        let cuts = [content.size / 3, content.size * 2 / 3];
        let phase = Phase::begin(self, name, content.size, &cuts).await?;
        let mut tries = 0;
        loop {
            tries += 1;
            let body = Body::source(Arc::new(content));
            match self.job.upload_artifact(&ArtifactUpload::new("artifacts.zip"), body).await {
                Ok(_) => break,
                Err(error) if error.is_transport() && tries < TRIES => {}
                Err(error) => return Err(error.into()),
            }
        }
        // What arrived is compared when it is downloaded.
        phase.end(self, tries, "uploaded", true).await
    }

    async fn download(&mut self, name: &str, size: u64, expected: &str) -> Result<bool, Error> {
        let phase = Phase::begin(self, name, size, &[size / 3, size * 2 / 3]).await?;
        let mut target = Digesting::default();
        let mut tries = 0;
        loop {
            tries += 1;
            match self.job.download_artifact(DownloadOptions::default(), &mut target).await {
                Ok(_) => break,
                Err(error) if error.is_transport() && tries < TRIES => {}
                Err(error) => return Err(error.into()),
            }
        }
        let same = target.finish() == expected;
        phase.end(self, tries, if same { "identical" } else { "DIFFERENT" }, same).await
    }

    async fn download_to(&mut self, name: &str, size: u64, expected: &str) -> Result<bool, Error> {
        let phase = Phase::begin(self, name, size, &[size / 4, size / 4, size / 4]).await?;
        let mut writer = Digesting::default();
        self.job.download_artifact_to(DownloadOptions::default(), &mut writer).await?;
        let same = writer.finish() == expected;
        phase.end(self, 1, if same { "identical" } else { "DIFFERENT" }, same).await
    }

    async fn download_in_ranges(&mut self, name: &str, size: u64, expected: &str) -> Result<bool, Error> {
        let chunk = RangeOptions::default().chunk.min(size / 8);
        let phase = Phase::begin(self, name, size, &[chunk / 2, chunk / 3, chunk / 2, chunk * 2 / 3]).await?;
        let mut options = DownloadOptions::default();
        options.direct = true;
        let mut ranges = RangeOptions::default();
        (ranges.chunk, ranges.threshold) = (chunk, chunk);
        options.ranges = Some(ranges);
        let path = self.folder.path().join("downloaded");
        let mut file = tokio::fs::File::create(&path).await?;
        let downloaded = self.job.download_artifact(options, &mut file).await?;
        drop(file);
        let same = digest_of(&path).await? == expected && downloaded.parts > 1;
        phase.end(self, 1, if same { "identical" } else { "DIFFERENT" }, same).await
    }

    /// Plans resets. How many of the plan before did not happen.
    async fn plan(&mut self, cuts: &[u64]) -> Result<usize, Error> {
        use tokio::io::AsyncWriteExt as _;
        let line: Vec<_> = cuts.iter().map(u64::to_string).collect();
        self.stdin.write_all(format!("{}\n", line.join(" ")).as_bytes()).await?;
        Ok(self.stdout.next_line().await?.ok_or("the server ended")?.parse()?)
    }
}

/// One line of the table.
struct Phase {
    name: String,
    size: u64,
    cuts: usize,
    began: Instant,
    resident: u64,
}

impl Phase {
    async fn begin(session: &mut Session, name: &str, size: u64, cuts: &[u64]) -> Result<Self, Error> {
        session.plan(cuts).await?;
        let resident = memory::begin()?;
        Ok(Self { name: name.to_owned(), size, cuts: cuts.len(), began: Instant::now(), resident })
    }

    async fn end(self, session: &mut Session, tries: u32, bytes: &str, same: bool) -> Result<bool, Error> {
        let took = self.began.elapsed().max(Duration::from_millis(1));
        let growth = memory::peak()?.saturating_sub(self.resident);
        let missed = session.plan(&[]).await?;
        let resets = self.cuts - missed;
        let rate = (self.size >> 20) as f64 / took.as_secs_f64();
        println!(
            "{:<36} {resets:>6} {tries:>6} {:>8.1} {rate:>8.0} {:>10.1}  {bytes}",
            self.name,
            took.as_secs_f64(),
            growth as f64 / 1024.0,
        );
        if missed > 0 {
            println!("  {missed} planned resets did not happen");
        }
        let flat = growth <= LIMIT_MIB * 1024;
        if !flat {
            println!("  memory grew beyond the limit");
        }
        Ok(same && flat && missed == 0)
    }
}

async fn digest_of(path: &std::path::Path) -> Result<String, Error> {
    let mut file = tokio::fs::File::open(path).await?;
    let mut buffer = vec![0; 256 * 1024];
    let mut digest = Sha256::new();
    loop {
        let length = file.read(&mut buffer).await?;
        if length == 0 {
            return Ok(hex(&digest.finalize()));
        }
        digest.update(&buffer[..length]);
    }
}
