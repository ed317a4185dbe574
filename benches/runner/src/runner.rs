//! The program that is measured, running.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::gitlab::GitLab;
use crate::process;
use crate::{Context, Error};

/// Longer than any stop takes.
const STOP: Duration = Duration::from_secs(60);

/// Builds the program beside this one. Its path.
pub fn build() -> Result<PathBuf, Error> {
    let built = std::process::Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--package", "runner-cli", "--bin", "runner"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()?;
    if !built.success() {
        return Err("the program cannot be built".into());
    }
    let this = std::env::current_exe()?;
    let folder = this.parent().and_then(Path::parent).ok_or("this program is in no target folder")?;
    Ok(folder.join("release/runner"))
}

/// What is configured.
#[derive(Debug, Clone)]
pub struct Config {
    pub concurrent: usize,
    pub check_interval: u32,
    /// `[[runners]]` entries, each with a token of its own.
    pub entries: usize,
}

/// `runner run` in clean surroundings: an empty home, an environment with nothing but a search path.
#[derive(Debug)]
pub struct Runner {
    folder: TempDir,
    process: Child,
    pid: u32,
}

impl Runner {
    pub fn start(context: &Context, gitlab: &GitLab, config: &Config) -> Result<Self, Error> {
        let tokens = (0..config.entries).map(|_| gitlab.token().expose_secret().to_owned());
        Self::start_at(context, &gitlab.url(), tokens, config)
    }

    pub fn start_at(
        context: &Context,
        url: &str,
        tokens: impl IntoIterator<Item = String>,
        config: &Config,
    ) -> Result<Self, Error> {
        let folder = tempfile::tempdir_in(&context.folder)?;
        fs::create_dir(folder.path().join("home"))?;
        let mut text =
            format!("concurrent = {}\ncheck_interval = {}\n", config.concurrent, config.check_interval);
        for (position, token) in tokens.into_iter().enumerate() {
            write!(
                text,
                "[[runners]]\nname = \"bench-{position}\"\nurl = \"{url}\"\ntoken = \"{token}\"\nexecutor = \"shell\"\n\
                 output_limit = 100000000\n"
            )?;
        }
        fs::write(folder.path().join("config.toml"), text)?;
        let log = fs::File::create(folder.path().join("runner.log"))?;
        let process = command(context, folder.path())
            .args(["--config", "config.toml", "run", "--working-directory", "work"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        let pid = process.id().ok_or("the runner ended at once")?;
        Ok(Self { folder, process, pid })
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Ends it when its jobs have ended.
    pub async fn drain(self) -> Result<(), Error> {
        process::signal(self.pid, Signal::QUIT)?;
        self.wait().await
    }

    /// Ends it and its jobs.
    pub async fn interrupt(self) -> Result<(), Error> {
        // One signal asks it to wait; the second to interrupt. Two that come together are one.
        process::signal(self.pid, Signal::TERM)?;
        tokio::time::sleep(Duration::from_millis(100)).await;
        process::signal(self.pid, Signal::TERM)?;
        self.wait().await
    }

    /// Ends it at once; for one that has no jobs.
    pub async fn kill(mut self) -> Result<(), Error> {
        self.process.kill().await?;
        Ok(self.folder.close()?)
    }

    async fn wait(mut self) -> Result<(), Error> {
        let status = tokio::time::timeout(STOP, self.process.wait()).await;
        let status = status.map_err(|_| "the runner does not end")??;
        if !status.success() {
            let log = fs::read_to_string(self.folder.path().join("runner.log"))?;
            return Err(format!("the runner ended with {status}:\n{log}").into());
        }
        Ok(self.folder.close()?)
    }
}

/// The program in a folder with an empty home.
pub fn command(context: &Context, folder: &Path) -> Command {
    let mut command = Command::new(&context.program);
    command.env_clear().env("PATH", search_path()).env("HOME", folder.join("home")).current_dir(folder);
    command
}

/// Where programs are found.
#[expect(clippy::disallowed_methods, reason = "shells are found where the caller finds them")]
pub fn search_path() -> std::ffi::OsString {
    std::env::var_os("PATH").unwrap_or_default()
}
