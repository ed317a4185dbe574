//! Executors with something wrong, made of the whole one.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use runner_core::conformance::Host;
use runner_core::executor::{
    AcquireError, Adopter, Adoption, Capacity, Cause, CleanupReason, Environment, EnvironmentError,
    FollowEvent, FollowStream, Handle, Janitor, JobContext, JobKey, Notices, Orphan, Place, PrepareRequest,
    Provider, ProviderInfo, Remains, Reservation, SecretVariable, Shell, StageEnd, StageInput, StageKey,
    StageStatus, Started, Stop,
};
use secrecy::ExposeSecret as _;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio_util::sync::CancellationToken;

use crate::broken_stream::{broken_end, broken_stream};
use crate::fault::Fault;
use crate::reference::{Reference, World};

const LONG: Duration = Duration::from_secs(3600);

/// A host of a broken executor.
pub(crate) struct BrokenHost {
    fault: Fault,
    world: Arc<World>,
    shared: Arc<Shared>,
}

/// What all environments of a host share.
#[derive(Debug, Default)]
struct Shared {
    environments: Mutex<Vec<Weak<dyn Environment>>>,
    held: Mutex<Vec<File>>,
}

impl BrokenHost {
    pub(crate) fn new(fault: Fault) -> Self {
        Self { fault, world: World::new(), shared: Arc::default() }
    }

    fn make(&self, fails: bool) -> Arc<dyn Provider> {
        let inner = Reference { world: Arc::clone(&self.world), fails };
        Arc::new(BrokenProvider { inner, fault: self.fault, shared: Arc::clone(&self.shared) })
    }
}

#[async_trait]
impl Host for BrokenHost {
    async fn provider(&self) -> Arc<dyn Provider> {
        self.make(false)
    }

    async fn failing_provider(&self) -> Option<Arc<dyn Provider>> {
        Some(self.make(true))
    }

    fn folders(&self) -> Vec<PathBuf> {
        vec![self.world.state()]
    }
}

#[derive(Debug)]
struct BrokenProvider {
    inner: Reference,
    fault: Fault,
    shared: Arc<Shared>,
}

impl BrokenProvider {
    fn wrap(&self, inner: Box<dyn Environment>, adopted: bool) -> Box<dyn Environment> {
        let inner: Arc<dyn Environment> = Arc::from(inner);
        self.shared.environments.lock().unwrap().push(Arc::downgrade(&inner));
        Box::new(BrokenEnvironment {
            inner,
            fault: self.fault,
            world: Arc::clone(&self.inner.world),
            shared: Arc::clone(&self.shared),
            adopted,
            memory: Arc::default(),
        })
    }
}

#[async_trait]
impl Provider for BrokenProvider {
    fn info(&self) -> ProviderInfo {
        let mut info = self.inner.info();
        match self.fault {
            Fault::TerminalWithoutTerminal => info.features.terminal = true,
            Fault::NotBash => info.shell = "bash".into(),
            _ => {}
        }
        info
    }

    fn capacity(&self) -> watch::Receiver<Capacity> {
        self.inner.capacity()
    }

    async fn acquire(&self) -> Result<Reservation, AcquireError> {
        let reservation = self.inner.acquire().await;
        if self.fault == Fault::DroppedAcquire {
            yield_now().await;
        }
        reservation
    }

    async fn release(&self, reservation: Reservation) {
        let full = self.inner.world.room.borrow().more == Some(0);
        if self.fault != Fault::RoomIsLost || !full {
            self.inner.release(reservation).await;
        }
    }

    fn environment(
        &self,
        reservation: &Reservation,
        job: &JobContext,
    ) -> Result<Box<dyn Environment>, EnvironmentError> {
        if self.fault == Fault::MakesFolderTooEarly {
            fs::create_dir_all(self.inner.world.state().join(job.key.to_string())).unwrap();
        }
        Ok(self.wrap(self.inner.environment(reservation, job)?, false))
    }

    fn adopter(&self) -> Option<&dyn Adopter> {
        (self.fault != Fault::AdoptionWithoutAdopter).then_some(self)
    }

    fn janitor(&self) -> Option<&dyn Janitor> {
        Some(self)
    }
}

#[async_trait]
impl Adopter for BrokenProvider {
    async fn adopt(&self, handle: &Handle, job: &JobContext) -> Result<Adoption, EnvironmentError> {
        let handle = match self.fault {
            Fault::AdoptsAnybody => Handle::new("reference", handle.value().clone()),
            _ => handle.clone(),
        };
        Ok(match self.inner.adopt(&handle, job).await? {
            Adoption::Live(environment) => Adoption::Live(self.wrap(environment, true)),
            Adoption::Gone(error) if self.fault == Fault::GoneLater => Adoption::RetryLater(error),
            other => other,
        })
    }
}

#[async_trait]
impl Janitor for BrokenProvider {
    async fn scan(&self, live: &[JobKey]) -> Result<Vec<Orphan>, EnvironmentError> {
        let live = if self.fault == Fault::LiveOrphans { &[] } else { live };
        self.inner.scan(live).await
    }

    async fn reap(&self, orphan: &Orphan) -> Result<(), EnvironmentError> {
        self.inner.reap(orphan).await
    }
}

#[derive(Debug)]
struct BrokenEnvironment {
    inner: Arc<dyn Environment>,
    fault: Fault,
    world: Arc<World>,
    shared: Arc<Shared>,
    adopted: bool,
    memory: Arc<Mutex<Memory>>,
}

/// What an environment remembers to be able to go wrong.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    prepare_called: bool,
    poisoned: bool,
    cleanups: u32,
    place: Option<Place>,
    secrets: Vec<SecretVariable>,
    files: Vec<String>,
    values: Vec<String>,
    started: HashSet<StageKey>,
    /// Calls that have begun and not ended.
    busy: HashSet<&'static str>,
    pub(crate) stops: HashSet<StageKey>,
    pub(crate) active: HashSet<StageKey>,
    pub(crate) told: HashSet<StageKey>,
    pub(crate) replays: HashSet<StageKey>,
    pub(crate) skip: HashSet<StageKey>,
}

impl BrokenEnvironment {
    fn key(&self, key: &StageKey) -> StageKey {
        let attempt = if self.fault == Fault::AttemptsAreOne { 1 } else { key.attempt };
        StageKey { attempt, ..key.clone() }
    }

    /// Begins a call that must not be dropped. `false`: one was.
    async fn begin(&self, call: &'static str) -> bool {
        let fresh = self.memory.lock().unwrap().busy.insert(call);
        yield_now().await;
        fresh
    }

    fn done(&self, call: &'static str) {
        self.memory.lock().unwrap().busy.remove(call);
    }

    async fn is_running(&self, key: &StageKey) -> bool {
        matches!(self.inner.status(key).await, Ok(StageStatus::Running))
    }

    fn break_input(&self, input: &mut StageInput) {
        let mut memory = self.memory.lock().unwrap();
        let own = input.secrets.clone();
        memory.files.extend(own.iter().filter_map(|secret| secret.file.clone()));
        memory.values.extend(own.iter().map(|secret| secret.value.expose_secret().to_owned()));
        let script = &mut input.script;
        match self.fault {
            Fault::StdinStaysOpen => {
                let fifo = self.world.temp.path().join("fifo");
                let fifo = fifo.display();
                script.insert_str(0, &format!("[ -p {fifo} ] || mkfifo {fifo}\nexec 0<>{fifo}\n"));
            }
            Fault::WaitsForBackground => script.push_str("\nwait\n"),
            Fault::LeavesAProcess => {
                script.insert_str(0, "setsid sleep 3600 </dev/null >/dev/null 2>&1 &\n");
            }
            Fault::SecretsInArguments => script.insert_str(
                0,
                "if [ -n \"$HIDDEN\" ]; then sh -c 'sleep 3600; :' x \"$HIDDEN\" & sleep 0.2; fi\n",
            ),
            Fault::WipesBetweenStages => {
                if let Some(place) = &memory.place {
                    script.insert_str(0, &format!("rm -rf '{}/group/conformance'\n", place.builds_dir));
                }
            }
            Fault::PublicFiles => {
                for path in own.iter().filter_map(|secret| secret.file.as_ref()) {
                    script.insert_str(0, &format!("chmod 644 '{path}'\n"));
                }
            }
            Fault::TrimsVariables | Fault::AddsNewlineToFiles => {
                for secret in &mut input.secrets {
                    let value = secret.value.expose_secret();
                    let changed = match (self.fault, &secret.file) {
                        (Fault::TrimsVariables, None) => value.trim().to_owned(),
                        (Fault::AddsNewlineToFiles, Some(_)) => format!("{value}\n"),
                        _ => continue,
                    };
                    secret.value = changed.into();
                }
            }
            Fault::FirstValueCounts => input.secrets.reverse(),
            Fault::KeepsVariables => {
                input.secrets.splice(0..0, memory.secrets.clone());
                memory.secrets = input.secrets.clone();
            }
            Fault::LeavesADescriptor => {
                let path = self.world.state().join("held");
                self.shared.held.lock().unwrap().push(File::create(&path).unwrap());
                fs::remove_file(path).unwrap();
            }
            _ => {}
        }
    }
}

#[async_trait]
impl Environment for BrokenEnvironment {
    fn handle(&self) -> Handle {
        let handle = self.inner.handle();
        let memory = self.memory.lock().unwrap();
        let mut value = handle.value().clone();
        match self.fault {
            Fault::HandleChanges => {
                value["prepared"] = serde_json::json!(self.adopted || memory.place.is_some());
            }
            Fault::SecretsInHandle if memory.values.len() > 2 => {
                value["values"] = serde_json::json!(memory.values);
            }
            _ => {}
        }
        Handle::new(handle.executor(), value)
    }

    async fn prepare(
        &self,
        request: PrepareRequest,
        notices: Notices,
        cancel: CancellationToken,
    ) -> Result<Place, EnvironmentError> {
        let error = |text: &str| Err(EnvironmentError::new(Cause::System, text));
        {
            let mut memory = self.memory.lock().unwrap();
            memory.prepare_called = true;
            if memory.poisoned || (self.fault == Fault::PreparesOnce && memory.cleanups > 0) {
                return error("this place cannot be prepared again");
            }
        }
        if self.fault == Fault::DroppedPrepare && !self.begin("prepare").await {
            return error("it is being prepared");
        }
        let cancel = if self.fault == Fault::IgnoresCancel { CancellationToken::new() } else { cancel };
        let result = self.inner.prepare(request, notices, cancel).await;
        self.done("prepare");
        let mut memory = self.memory.lock().unwrap();
        match result {
            Ok(mut place) => {
                match self.fault {
                    Fault::TrailingSlash => place.builds_dir.push('/'),
                    Fault::NotBash => place.shell = Shell::Bash,
                    _ => {}
                }
                memory.place = Some(place.clone());
                Ok(place)
            }
            Err(error) => {
                memory.poisoned = self.fault == Fault::CancelPoisons && error.cause() == Cause::Canceled;
                if self.fault == Fault::FailureIsCancel {
                    return Err(EnvironmentError::new(Cause::Canceled, error.to_string()));
                }
                Err(error)
            }
        }
    }

    async fn start(&self, key: &StageKey, mut input: StageInput) -> Result<Started, EnvironmentError> {
        let key = &self.key(key);
        self.break_input(&mut input);
        let plain = |c: char| c.is_ascii_lowercase() || c == '_';
        match self.fault {
            Fault::RefusesNames if !key.name.chars().all(plain) => {
                return Err(EnvironmentError::new(Cause::System, "no name for a stage"));
            }
            Fault::DroppedStart => {
                let fresh = self.memory.lock().unwrap().started.insert(key.clone());
                let never = matches!(self.inner.status(key).await, Ok(StageStatus::NotStarted));
                if !fresh && never {
                    return Ok(Started::Running);
                }
                yield_now().await;
            }
            _ => {}
        }
        Ok(match self.inner.start(key, input).await? {
            Started::Running if self.fault == Fault::RunningIsEnded => Started::Ended,
            started => started,
        })
    }

    fn follow(&self, key: &StageKey, from: u64) -> FollowStream {
        let key = self.key(key);
        let mut inner = self.inner.follow(&key, from);
        match self.fault {
            Fault::MixesJobs => {
                let all = self.shared.environments.lock().unwrap();
                let live: Vec<_> = all.iter().filter_map(Weak::upgrade).collect();
                if live.len() > 2
                    && let Some(last) = live.last()
                {
                    inner = last.follow(&key, from);
                }
            }
            Fault::NotStartedEnds => {
                inner = Box::pin(futures_util::StreamExt::map(inner, |event| match event {
                    FollowEvent::Broken(_) => FollowEvent::Ended(StageEnd::Exit(0)),
                    other => other,
                }));
            }
            _ => {}
        }
        broken_stream(self.fault, inner, key, from, Arc::clone(&self.memory))
    }

    async fn status(&self, key: &StageKey) -> Result<StageStatus, EnvironmentError> {
        let key = &self.key(key);
        if self.fault == Fault::DroppedStatus {
            if !self.begin("status").await {
                return Ok(StageStatus::Unknown);
            }
            self.done("status");
        }
        let stopped = self.memory.lock().unwrap().stops.contains(key);
        Ok(match self.inner.status(key).await? {
            StageStatus::NotStarted if self.fault == Fault::NotStartedIsUnknown => StageStatus::Unknown,
            StageStatus::Ended(_) if self.fault == Fault::ForgetsEnds && self.adopted => StageStatus::Unknown,
            StageStatus::Ended(StageEnd::Signal(_)) if self.fault == Fault::StatusHasAnotherEnd => {
                StageStatus::Ended(StageEnd::Exit(1))
            }
            StageStatus::Ended(end) => StageStatus::Ended(broken_end(self.fault, end, stopped)),
            other => other,
        })
    }

    async fn stop(&self, key: &StageKey, how: Stop) -> Result<(), EnvironmentError> {
        let key = &self.key(key);
        let again = !self.memory.lock().unwrap().stops.insert(key.clone());
        let how = match (self.fault, how) {
            (Fault::KillsAtOnce, _) => Stop::Kill,
            (Fault::WaitsForEver, Stop::Terminate { .. }) => Stop::Terminate { grace: LONG },
            (Fault::KillingAsks, Stop::Kill) if !again => Stop::Terminate { grace: LONG },
            _ => how,
        };
        match self.fault {
            Fault::SecondStopIsIgnored if again => return Ok(()),
            Fault::StopFailsWhenNothingRuns if !self.is_running(key).await => {
                return Err(EnvironmentError::new(Cause::System, "nothing to stop"));
            }
            Fault::StopsOtherJobs => {
                let all: Vec<_> = self.shared.environments.lock().unwrap().clone();
                for other in all.iter().filter_map(Weak::upgrade) {
                    other.stop(key, how).await?;
                }
            }
            Fault::DroppedStop if !self.begin("stop").await => return Ok(()),
            _ => {}
        }
        let result = self.inner.stop(key, how).await;
        self.done("stop");
        result
    }

    async fn cleanup(&self, why: CleanupReason, deadline: Duration) -> Result<Remains, EnvironmentError> {
        let error = |text: &str| Err(EnvironmentError::new(Cause::System, text));
        let (cleanups, prepared, files, place) = {
            let mut memory = self.memory.lock().unwrap();
            memory.cleanups += 1;
            (
                memory.cleanups,
                memory.prepare_called || self.adopted,
                memory.files.clone(),
                memory.place.clone(),
            )
        };
        match self.fault {
            Fault::LeavesRunning if self.is_running(&StageKey::new(1, "step_script", 1)).await => {
                return Ok(Remains::default());
            }
            Fault::FourthCleanupFails if cleanups > 3 => return error("cleaned up too often"),
            Fault::CleansOnlyWhatWasPrepared if !prepared => return error("nothing was prepared"),
            Fault::DroppedCleanup if !self.begin("cleanup").await => return Ok(Remains::default()),
            _ => {}
        }
        let tampered = files.iter().find(|path| Path::new(path).is_dir());
        let result = self.inner.cleanup(why, deadline).await;
        self.done("cleanup");
        match self.fault {
            Fault::FilesStay => {
                for path in &files {
                    fs::create_dir_all(Path::new(path).parent().unwrap()).unwrap();
                    fs::write(path, "secret").unwrap();
                }
            }
            Fault::LeavesAFile => fs::write(self.world.state().join("left"), "").unwrap(),
            Fault::LeavesThePlace => {
                if let Some(place) = place {
                    fs::create_dir_all(place.builds_dir).unwrap();
                }
            }
            Fault::HidesWhatStays => {
                if let Some(path) = tampered {
                    fs::create_dir_all(path).unwrap();
                }
            }
            Fault::InventsWhatStays if tampered.is_some() => {
                return Ok(Remains { items: vec!["something".into()] });
            }
            _ => {}
        }
        result
    }
}

impl Drop for BrokenEnvironment {
    fn drop(&mut self) {
        if self.fault != Fault::DropKills {
            return;
        }
        // Killing is done at its first step here.
        let _ = self.inner.stop(&StageKey::new(1, "step_script", 1), Stop::Kill).now_or_never();
    }
}
