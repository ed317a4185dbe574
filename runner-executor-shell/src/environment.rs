//! [`ShellEnvironment`]: the place of one job on this machine.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use runner_core::executor::{
    Cause, CleanupReason, Environment, EnvironmentError, FollowStream, Handle, JobKey, Notices, Place,
    PrepareRequest, Remains, Shell, StageInput, StageKey, StageStatus, Started, Stop,
};
use runner_frames::{Request, SecretFile, Spec, Variable};
use tokio_util::sync::CancellationToken;

use crate::ShellConfig;
use crate::errors::{blocking, lost, system};
use crate::follow::{follow, stage_end};
use crate::job_folder::JobFolder;
use crate::launch::{Launched, launch};
use crate::stage_folder::{Probe, StageFolder};
use crate::strays::{STAGE_VARIABLE, kill_strays};
use crate::watcher::Watcher;

/// Name of the executor, also in handles.
pub(crate) const EXECUTOR: &str = "shell";
/// How long a stop looks for processes of a stage whose supervisor is gone.
const STRAYS: Duration = Duration::from_secs(5);

/// The place of one job: a folder for its stages, and what this process remembers of them.
#[derive(Debug)]
pub(crate) struct ShellEnvironment {
    config: Arc<ShellConfig>,
    watcher: Arc<Watcher>,
    key: JobKey,
    folder: JobFolder,
    memory: Arc<Memory>,
    /// Held while the folder is being made or a supervisor started, so that nobody looks at half of it.
    starting: Arc<tokio::sync::Mutex<()>>,
}

/// What this process knows beyond the files.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    started: Mutex<HashSet<StageKey>>,
    unreadable: Mutex<HashMap<StageKey, String>>,
}

impl ShellEnvironment {
    pub(crate) fn new(
        config: Arc<ShellConfig>,
        watcher: Arc<Watcher>,
        key: JobKey,
        folder: JobFolder,
    ) -> Self {
        Self { config, watcher, key, folder, memory: Arc::default(), starting: Arc::default() }
    }

    fn spec(&self, stage: &StageFolder, input: &StageInput) -> Result<Spec, EnvironmentError> {
        let (program, login) = match self.config.shell {
            Shell::Bash => ("bash", "--login"),
            Shell::Sh => ("sh", "-l"),
        };
        let login = self.config.login.then_some(login);
        let shell = std::iter::once(program).chain(login).map(str::to_owned).collect();
        let mut spec = Spec::new(shell, utf8(&self.config.builds_dir)?);
        spec.default_grace_ms = millis(self.config.grace);
        spec.leftover_grace_ms = millis(self.config.leftover_grace);
        let fixed = self.config.environment.iter().map(|(key, value)| (key.clone(), value.clone().into()));
        let marker = (STAGE_VARIABLE.to_owned(), utf8(stage.path())?.to_owned().into());
        let variables = fixed.chain([marker]).map(|(key, value)| Variable { key, value });
        spec.env.extend(variables);
        for secret in &input.secrets {
            let content = secret.value.clone();
            match &secret.file {
                Some(path) => spec.secret_files.push(SecretFile { path: path.clone(), content, mode: 0o600 }),
                None => spec.env.push(Variable { key: secret.key.clone(), value: content }),
            }
        }
        Ok(spec)
    }
}

#[async_trait]
impl Environment for ShellEnvironment {
    fn handle(&self) -> Handle {
        let folder = self.folder.path().to_string_lossy();
        // What the job's stages are started with goes with the job: a configuration may change.
        let builds_dir = self.config.builds_dir.to_string_lossy();
        let value = serde_json::json!({
            "job": self.key,
            "folder": folder,
            "builds_dir": builds_dir,
            "shell": self.config.shell,
            "login": self.config.login,
        });
        Handle::new(EXECUTOR, value)
    }

    async fn prepare(
        &self,
        _request: PrepareRequest,
        notices: Notices,
        cancel: CancellationToken,
    ) -> Result<Place, EnvironmentError> {
        if cancel.is_cancelled() {
            return Err(EnvironmentError::new(Cause::Canceled, "preparing the environment was canceled"));
        }
        notices.plain(format!("Using Shell ({}) executor...", self.config.shell.program())).await;
        let (config, folder, key) = (Arc::clone(&self.config), self.folder.clone(), self.key.clone());
        let starting = Arc::clone(&self.starting).lock_owned().await;
        blocking(move || {
            // Held to the end, also when the caller does not wait for it: whoever prepares or cleans up next finds all of it.
            let _starting = starting;
            for dir in [&config.builds_dir, &config.cache_dir] {
                fs::create_dir_all(dir).map_err(|error| system("make", dir, error))?;
            }
            folder.create(&key)?;
            Ok(Place {
                builds_dir: utf8(&config.builds_dir)?.trim_end_matches('/').to_owned(),
                cache_dir: utf8(&config.cache_dir)?.trim_end_matches('/').to_owned(),
                shared: true,
                shell: config.shell,
                helper: config.helper.clone(),
                os: "linux".to_owned(),
                hostname: None,
            })
        })
        .await
    }

    async fn start(&self, key: &StageKey, input: StageInput) -> Result<Started, EnvironmentError> {
        let stage = self.folder.stage(key);
        let spec = self.spec(&stage, &input)?;
        let starting = Arc::clone(&self.starting);
        let start = Start {
            config: Arc::clone(&self.config),
            folder: self.folder.clone(),
            memory: Arc::clone(&self.memory),
            key: key.clone(),
            stage,
        };
        // In a task of its own: what has begun is finished, also when the caller does not wait for it.
        let task = tokio::spawn(async move {
            let _starting = starting.lock_owned().await;
            start.run(input, spec).await
        });
        match task.await {
            Ok(result) => result,
            Err(error) => {
                Err(EnvironmentError::new(Cause::System, format!("starting stage {key} failed"))
                    .source(error))
            }
        }
    }

    fn follow(&self, key: &StageKey, from: u64) -> FollowStream {
        let (watcher, memory) = (Arc::clone(&self.watcher), Arc::clone(&self.memory));
        follow(key.clone(), self.folder.stage(key), from, watcher, memory)
    }

    async fn status(&self, key: &StageKey) -> Result<StageStatus, EnvironmentError> {
        if let Some(why) = self.memory.unreadable(key) {
            return Ok(StageStatus::Lost(lost(key, why)));
        }
        let _starting = self.starting.lock().await;
        let stage = self.folder.stage(key);
        Ok(match blocking(move || stage.probe()).await? {
            Probe::NotStarted if self.memory.is_started(key) => {
                StageStatus::Lost(lost(key, "the files of the stage are gone"))
            }
            Probe::NotStarted => StageStatus::NotStarted,
            Probe::Running => StageStatus::Running,
            Probe::Ended(status) => match stage_end(key, &status) {
                Ok(end) => StageStatus::Ended(end),
                Err(error) => StageStatus::Lost(error),
            },
            Probe::Lost(why) => StageStatus::Lost(lost(key, why)),
            Probe::Unclear(_) => StageStatus::Unknown,
        })
    }

    async fn stop(&self, key: &StageKey, how: Stop) -> Result<(), EnvironmentError> {
        let request = match how {
            Stop::Terminate { grace } => Request::Terminate { grace },
            Stop::Kill => Request::Kill,
        };
        let _starting = self.starting.lock().await;
        let (key, stage) = (key.clone(), self.folder.stage(key));
        blocking(move || {
            if stage.request(request)? {
                return Ok(());
            }
            match stage.probe()? {
                Probe::NotStarted | Probe::Ended(_) => return Ok(()),
                Probe::Lost(_) => {}
                Probe::Unclear(_) if request == Request::Kill => {}
                Probe::Running | Probe::Unclear(_) => {
                    let text = format!("cannot ask stage {key} to end");
                    return Err(
                        EnvironmentError::new(Cause::System, text).evidence("its control pipe is gone")
                    );
                }
            }
            match kill_strays(stage.path(), STRAYS) {
                0 => Ok(()),
                n => Err(EnvironmentError::new(
                    Cause::System,
                    format!("{n} processes of stage {key} cannot be killed"),
                )),
            }
        })
        .await
    }

    async fn cleanup(&self, _why: CleanupReason, deadline: Duration) -> Result<Remains, EnvironmentError> {
        let _starting = self.starting.lock().await;
        clean_up(&self.folder, &self.watcher, deadline).await
    }
}

/// Ends what runs of a job and removes its folder.
pub(crate) async fn clean_up(
    folder: &JobFolder,
    watcher: &Watcher,
    deadline: Duration,
) -> Result<Remains, EnvironmentError> {
    let until = tokio::time::Instant::now() + deadline;
    let listed = folder.clone();
    let mut remains = Remains::default();
    // Most often all of them have ended long ago.
    let open = blocking(move || {
        let mut open = listed.stages()?;
        open.retain(|stage| match stage.probe() {
            Ok(Probe::Ended(status)) => status.left > 0,
            Ok(Probe::NotStarted) => false,
            _ => true,
        });
        Ok(open)
    });
    for stage in open.await? {
        let left = match tokio::time::timeout_at(until, end_stage(&stage, watcher)).await {
            Ok(left) => left?,
            Err(_) => Some("still running".to_owned()),
        };
        if let Some(text) = left {
            let name = stage.path().file_name().unwrap_or_default().to_string_lossy();
            remains.items.push(format!("processes of stage {name}: {text}"));
        }
    }
    let folder = folder.clone();
    let still_used = !remains.items.is_empty();
    let more = blocking(move || {
        let mut items = folder.remove_secret_files();
        // The folder is how the next process finds what is left, so it stays as long as something is.
        if !still_used
            && items.is_empty()
            && let Err(error) = folder.remove()
        {
            items.push(format!("{}: {error}", folder.path().display()));
        }
        Ok(items)
    })
    .await?;
    remains.items.extend(more);
    Ok(remains)
}

/// Kills a stage and waits for its end. The answer tells what is left of it.
async fn end_stage(stage: &StageFolder, watcher: &Watcher) -> Result<Option<String>, EnvironmentError> {
    let watch = watcher.watch(stage.path()).map_err(|error| system("watch", stage.path(), error))?;
    let mut asked = false;
    loop {
        let folder = stage.clone();
        match blocking(move || folder.probe()).await? {
            Probe::Ended(status) if status.left > 0 => {
                return Ok(Some(format!("{} could not be killed", status.left)));
            }
            Probe::Ended(_) | Probe::NotStarted => return Ok(None),
            Probe::Running if !asked => {
                let folder = stage.clone();
                asked = blocking(move || folder.request(Request::Kill)).await?;
            }
            Probe::Running => {
                watch.changed().await;
            }
            Probe::Lost(_) | Probe::Unclear(_) => {
                let folder = stage.clone();
                let left = blocking(move || Ok(kill_strays(folder.path(), STRAYS))).await?;
                return Ok((left > 0).then(|| format!("{left} could not be killed")));
            }
        }
    }
}

/// One call of `start`, with everything it needs to go on alone.
struct Start {
    config: Arc<ShellConfig>,
    folder: JobFolder,
    memory: Arc<Memory>,
    key: StageKey,
    stage: StageFolder,
}

impl Start {
    async fn run(self, input: StageInput, spec: Spec) -> Result<Started, EnvironmentError> {
        let Self { config, folder, memory, key, stage } = self;
        let (written, begun) = (stage.clone(), memory.is_started(&key));
        let before = blocking(move || {
            let probe = written.probe()?;
            if matches!(probe, Probe::NotStarted) && !begun {
                folder.note_secret_files(spec.secret_files.iter().map(|file| file.path.as_str()))?;
                written.write(&input.script, &spec)?;
            }
            Ok(probe)
        })
        .await?;
        match before {
            Probe::Running => return Ok(Started::Running),
            Probe::Ended(_) => return Ok(Started::Ended),
            Probe::Lost(why) | Probe::Unclear(why) => return Err(lost(&key, why)),
            Probe::NotStarted if begun => return Err(lost(&key, "the files of the stage are gone")),
            Probe::NotStarted => {}
        }
        let launched = launch(&config.helper, &stage).await;
        if !matches!(launched, Ok(Launched::New)) {
            // Whoever runs the stage has read its order; this one would only lie about with its secrets.
            let order = stage.clone();
            blocking(move || {
                order.forget_order();
                Ok(())
            })
            .await?;
        }
        let started = match launched? {
            Launched::New => Started::New,
            Launched::NewAndOver | Launched::Ended => {
                // Any program can end without a word; only a supervisor leaves a status.
                let probed = stage.clone();
                if !matches!(blocking(move || probed.probe()).await?, Probe::Ended(_)) {
                    let text = format!("cannot start stage {key}: the helper did nothing");
                    return Err(
                        EnvironmentError::new(Cause::Configuration, text).evidence(config.helper.join(" "))
                    );
                }
                Started::Ended
            }
            Launched::Running => Started::Running,
            Launched::Lost => return Err(lost(&key, "its supervisor died")),
        };
        memory.set_started(key);
        Ok(started)
    }
}

impl Memory {
    fn set_started(&self, key: StageKey) {
        guard(&self.started).insert(key);
    }

    fn is_started(&self, key: &StageKey) -> bool {
        guard(&self.started).contains(key)
    }

    pub(crate) fn set_unreadable(&self, key: &StageKey, why: String) {
        guard(&self.unreadable).insert(key.clone(), why);
    }

    fn unreadable(&self, key: &StageKey) -> Option<String> {
        guard(&self.unreadable).get(key).cloned()
    }
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn utf8(path: &Path) -> Result<&str, EnvironmentError> {
    path.to_str().ok_or_else(|| {
        EnvironmentError::new(Cause::Configuration, format!("cannot use {}", path.display()))
            .evidence("the path is not UTF-8")
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
