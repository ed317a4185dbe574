//! [`Provider`]: where environments come from.

use std::any::Any;
use std::fmt;

use async_trait::async_trait;
use runner_api::Features;
use tokio::sync::watch;

use super::{Environment, EnvironmentError, Handle, JobContext, JobKey};

/// What a provider is and can do. Constant over its life.
#[derive(Debug, Clone)]
pub struct ProviderInfo {
    /// Executor name as in `config.toml`: `shell`, `kubernetes`, …
    pub executor: String,
    /// Name of the shell that scripts are written for.
    pub shell: String,
    /// What the executor promises to GitLab, on top of what the core does for every executor.
    pub features: Features,
    /// What the core may rely on.
    pub capabilities: Capabilities,
}

/// What the core may rely on. Promising more than is kept is a bug that the conformance suite finds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Output can be followed again from any earlier offset of a stage that has not been cleaned up.
    pub replay: bool,
    /// Jobs outlive the manager: there is an [`Adopter`].
    pub adoption: bool,
}

/// How many more jobs a provider can take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capacity {
    /// How many more; `None`: no limit of its own.
    pub more: Option<u32>,
    /// Why not more, for logs and status pages.
    pub why: Option<String>,
}

impl Capacity {
    /// No limit of its own.
    pub const UNLIMITED: Capacity = Capacity { more: None, why: None };

    /// Whether at least one more job fits.
    pub fn is_available(&self) -> bool {
        self.more != Some(0)
    }
}

/// A promise of room for one job, taken before a job is requested and given back with [`Provider::release`].
pub struct Reservation {
    label: String,
    data: Box<dyn Any + Send + Sync>,
}

impl Reservation {
    /// A reservation that carries nothing but a name for logs.
    pub fn new(label: impl Into<String>) -> Self {
        Self::with_data(label, ())
    }

    /// A reservation that carries something of the provider's own: a machine, a permit.
    pub fn with_data(label: impl Into<String>, data: impl Any + Send + Sync) -> Self {
        Self { label: label.into(), data: Box::new(data) }
    }

    /// Its name.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// What the provider put in, if it is a `T`.
    pub fn data<T: Any>(&self) -> Option<&T> {
        self.data.downcast_ref()
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("label", &self.label).finish_non_exhaustive()
    }
}

/// Why there is no reservation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcquireError {
    /// No room at the moment. Not a fault: the core asks again when [`Provider::capacity`] changes.
    #[error("no capacity: {0}")]
    NoCapacity(String),
    /// The provider cannot work as it is configured; the runner counts as unhealthy.
    #[error("provider is not usable")]
    Unusable(#[source] EnvironmentError),
}

/// Gives places to jobs; one per `[[runners]]` entry.
///
/// Shared by all jobs of the entry, so every method takes `&self`. Implementations own whatever is shared between jobs:
/// connections, watches, pools.
#[async_trait]
pub trait Provider: Send + Sync + fmt::Debug {
    /// What it is and can do.
    fn info(&self) -> ProviderInfo;

    /// How many more jobs it can take; changes are signalled.
    fn capacity(&self) -> watch::Receiver<Capacity>;

    /// Reserves room for one job, before a job is requested from GitLab.
    ///
    /// # Errors
    /// [`AcquireError::NoCapacity`] when there is no room now, [`AcquireError::Unusable`] when waiting will not help.
    ///
    /// # Cancel safety
    /// A dropped call reserves nothing.
    async fn acquire(&self) -> Result<Reservation, AcquireError>;

    /// Gives a reservation back; called exactly once for each, whether a job came or not.
    async fn release(&self, reservation: Reservation);

    /// An environment for this job. Does no I/O and creates nothing: that is [`Environment::prepare`]'s work, after the
    /// handle has been journaled.
    ///
    /// # Errors
    /// When job and configuration can be seen not to fit.
    fn environment(
        &self,
        reservation: &Reservation,
        job: &JobContext,
    ) -> Result<Box<dyn Environment>, EnvironmentError>;

    /// Finds environments of an earlier process again; `None` when jobs do not outlive the manager.
    fn adopter(&self) -> Option<&dyn Adopter> {
        None
    }

    /// Finds and removes what earlier processes left behind; `None` when nothing can be left.
    fn janitor(&self) -> Option<&dyn Janitor> {
        None
    }
}

/// Takes over environments that an earlier manager created.
#[async_trait]
pub trait Adopter: Send + Sync {
    /// Looks for the environment behind a journaled handle.
    ///
    /// # Errors
    /// Only when the handle itself makes no sense; what was found is an [`Adoption`].
    async fn adopt(&self, handle: &Handle, job: &JobContext) -> Result<Adoption, EnvironmentError>;
}

/// What an [`Adopter`] found.
#[derive(Debug)]
pub enum Adoption {
    /// It is there and is now ours.
    Live(Box<dyn Environment>),
    /// It existed or may have existed, and is gone for this reason.
    Gone(EnvironmentError),
    /// Something is there under that name that we did not create.
    NotOurs,
    /// It cannot be told now; ask again.
    RetryLater(EnvironmentError),
}

/// Removes what no job owns any more.
#[async_trait]
pub trait Janitor: Send + Sync {
    /// Everything that this provider's predecessors created and that belongs to none of the live jobs.
    ///
    /// # Errors
    /// When looking failed; nothing was removed.
    async fn scan(&self, live: &[JobKey]) -> Result<Vec<Orphan>, EnvironmentError>;

    /// Ends and removes one of them. Removing what is gone already is success.
    ///
    /// # Errors
    /// When something of it stayed.
    async fn reap(&self, orphan: &Orphan) -> Result<(), EnvironmentError>;
}

/// Something that was left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// The job that it belonged to, if that can be told.
    pub job: Option<JobKey>,
    /// Where it is: enough for [`Janitor::reap`] and for a log line.
    pub location: String,
}
