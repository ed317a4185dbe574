//! [`ShellProvider`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runner_api::Features;
use runner_core::executor::{
    AcquireError, Adopter, Adoption, Capabilities, Capacity, Cause, Environment, EnvironmentError, Handle,
    Janitor, JobContext, JobKey, Orphan, Provider, ProviderInfo, Reservation, Shell,
};
use serde::Deserialize;
use tokio::sync::watch;

use crate::ShellConfig;
use crate::environment::{EXECUTOR, ShellEnvironment, clean_up};
use crate::errors::{blocking, system};
use crate::job_folder::JobFolder;
use crate::watcher::Watcher;

/// How long removing one orphan may take.
const REAP: Duration = Duration::from_secs(30);

/// Gives jobs a place on this machine. Has no limit of its own: `concurrent` and `limit` are the core's.
///
/// ```
/// use runner_core::executor::Provider;
/// use runner_executor_shell::{ShellConfig, ShellProvider};
///
/// let helper = vec!["/usr/local/bin/runner".to_owned()];
/// let config = ShellConfig::new("/var/lib/runner/shell", "/home/ci/builds", "/home/ci/cache", helper);
/// let provider = ShellProvider::new(config);
/// assert_eq!(provider.info().executor, "shell");
/// assert!(provider.info().capabilities.adoption);
/// ```
#[derive(Debug)]
pub struct ShellProvider {
    config: Arc<ShellConfig>,
    watcher: Arc<Watcher>,
    capacity: watch::Sender<Capacity>,
}

impl ShellProvider {
    /// A provider with this configuration; does nothing yet.
    pub fn new(config: ShellConfig) -> Self {
        Self {
            config: Arc::new(config),
            watcher: Arc::default(),
            capacity: watch::Sender::new(Capacity::UNLIMITED),
        }
    }

    fn environment_at(&self, key: JobKey, folder: JobFolder) -> Box<dyn Environment> {
        Box::new(ShellEnvironment::new(Arc::clone(&self.config), Arc::clone(&self.watcher), key, folder))
    }

    fn folder_of(&self, key: &JobKey) -> Result<PathBuf, EnvironmentError> {
        let name = key.to_string();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !name.chars().all(plain) {
            let text = format!("cannot name a folder after job {name:?}");
            return Err(EnvironmentError::new(Cause::Configuration, text));
        }
        Ok(self.config.state_dir.join(name))
    }
}

#[async_trait]
impl Provider for ShellProvider {
    fn info(&self) -> ProviderInfo {
        let mut features = Features::default();
        features.variables = true;
        features.shared = true;
        ProviderInfo {
            executor: EXECUTOR.to_owned(),
            shell: self.config.shell.program().to_owned(),
            features,
            capabilities: Capabilities { replay: true, adoption: true },
        }
    }

    fn capacity(&self) -> watch::Receiver<Capacity> {
        self.capacity.subscribe()
    }

    async fn acquire(&self) -> Result<Reservation, AcquireError> {
        Ok(Reservation::new(EXECUTOR))
    }

    async fn release(&self, _reservation: Reservation) {}

    fn environment(
        &self,
        _reservation: &Reservation,
        job: &JobContext,
    ) -> Result<Box<dyn Environment>, EnvironmentError> {
        for dir in [&self.config.state_dir, &self.config.builds_dir, &self.config.cache_dir] {
            if !dir.is_absolute() {
                let text = format!("cannot use {}", dir.display());
                let error = EnvironmentError::new(Cause::Configuration, text);
                return Err(error.evidence("the path is not absolute"));
            }
        }
        let folder = JobFolder::new(self.folder_of(&job.key)?);
        Ok(self.environment_at(job.key.clone(), folder))
    }

    fn adopter(&self) -> Option<&dyn Adopter> {
        Some(self)
    }

    fn janitor(&self) -> Option<&dyn Janitor> {
        Some(self)
    }
}

/// What is in a handle of this executor.
#[derive(Debug, Deserialize)]
struct HandleValue {
    job: JobKey,
    folder: PathBuf,
    #[serde(default)]
    builds_dir: Option<PathBuf>,
    #[serde(default)]
    shell: Option<Shell>,
    #[serde(default)]
    login: Option<bool>,
}

impl HandleValue {
    /// The configuration with which the job began, as far as its stages depend on it.
    fn config(&self, today: &Arc<ShellConfig>) -> Arc<ShellConfig> {
        let mut config = ShellConfig::clone(today);
        if let Some(builds_dir) = &self.builds_dir {
            config.builds_dir.clone_from(builds_dir);
        }
        config.shell = self.shell.unwrap_or(config.shell);
        config.login = self.login.unwrap_or(config.login);
        Arc::new(config)
    }
}

#[async_trait]
impl Adopter for ShellProvider {
    async fn adopt(&self, handle: &Handle, job: &JobContext) -> Result<Adoption, EnvironmentError> {
        let senseless = |why: &str| {
            EnvironmentError::new(Cause::Configuration, format!("cannot adopt job {}", job.key)).evidence(why)
        };
        if handle.executor() != EXECUTOR {
            return Err(senseless(&format!("its handle is one of the executor {:?}", handle.executor())));
        }
        let value: HandleValue = serde_json::from_value(handle.value().clone())
            .map_err(|error| senseless("its handle cannot be read").source(error))?;
        if value.job != job.key {
            return Err(senseless(&format!("its handle is that of job {}", value.job)));
        }
        let config = value.config(&self.config);
        let folder = JobFolder::new(value.folder);
        let looked_at = folder.clone();
        let owner = blocking(move || {
            match fs::symlink_metadata(looked_at.path()) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(system("find", looked_at.path(), error)),
            }
            looked_at.owner().map(Some)
        })
        .await;
        Ok(match owner {
            Err(error) => Adoption::RetryLater(error),
            Ok(None) => {
                let text = format!("the folder of job {} is gone", job.key);
                Adoption::Gone(EnvironmentError::new(Cause::System, text).retriable(false))
            }
            Ok(Some(Some(owner))) if owner == job.key => {
                let watcher = Arc::clone(&self.watcher);
                Adoption::Live(Box::new(ShellEnvironment::new(config, watcher, owner, folder)))
            }
            Ok(Some(_)) => Adoption::NotOurs,
        })
    }
}

#[async_trait]
impl Janitor for ShellProvider {
    async fn scan(&self, live: &[JobKey]) -> Result<Vec<Orphan>, EnvironmentError> {
        let (state_dir, live) = (self.config.state_dir.clone(), live.to_vec());
        blocking(move || scan(&state_dir, &live)).await
    }

    async fn reap(&self, orphan: &Orphan) -> Result<(), EnvironmentError> {
        let path = PathBuf::from(&orphan.location);
        // `..` has a parent, but no name.
        if path.parent() != Some(self.config.state_dir.as_path()) || path.file_name().is_none() {
            let text = format!("cannot remove {}", path.display());
            let error = EnvironmentError::new(Cause::Configuration, text);
            return Err(error.evidence("it is not in the state folder of this runner"));
        }
        let remains = clean_up(&JobFolder::new(path), &self.watcher, REAP).await?;
        if remains.items.is_empty() {
            return Ok(());
        }
        let text = format!("cannot remove all of {}", orphan.location);
        Err(remains
            .items
            .into_iter()
            .fold(EnvironmentError::new(Cause::System, text), EnvironmentError::evidence))
    }
}

fn scan(state_dir: &Path, live: &[JobKey]) -> Result<Vec<Orphan>, EnvironmentError> {
    let entries = match fs::read_dir(state_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(system("read", state_dir, error)),
    };
    let mut orphans = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| system("read", state_dir, error))?;
        let name = entry.file_name();
        let alive = live.iter().any(|key| key.to_string().as_str() == name);
        if alive || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let path = entry.path();
        let job = JobFolder::new(path.clone()).owner()?;
        // Only what is ours, or is named as if it were: the folder of a job that died before it wrote whose it is.
        if job.is_some() || name.to_string_lossy().starts_with("runner-") {
            orphans.push(Orphan { job, location: path.to_string_lossy().into_owned() });
        }
    }
    orphans.sort_by(|a, b| a.location.cmp(&b.location));
    Ok(orphans)
}
