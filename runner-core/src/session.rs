//! Where users reach a job while it runs: the seam for a session server, which is what GitLab's interactive web terminal
//! connects to.
//!
//! ```text
//! Sessions::open ─► job request with `session` ─┬─► no job: dropped
//!                                               └─► job written down ─► Session::begin ─► place prepared ─► Session::attach
//!                                                                                                                 │
//!                                                           GitLab knows the job's end ─► Session::end ◄──────────┘
//! ```
//!
//! A session is made before its job is known, because GitLab gets its address with the request. The core only tells it what
//! happens; listening, letting users in and what they do there is the session server's. A job that goes on after a restart has
//! no session: its address was that of the process before.
//!
//! Source: GitLab's documentation, "Interactive web terminals", and the Runner API's `session` of a job request.

use std::fmt;
use std::sync::Arc;

use runner_api::SessionInfo;

use crate::executor::{Environment, JobKey};
use crate::run::guarded_now;
use crate::settings::RunnerIdentity;

/// Makes a session for each request for a job. The default of a manager is [`NoSessions`].
///
/// It is asked only for runners whose executor promises the feature `session`; without an answer of it no `session` is sent. Calls
/// must not block, and a panic in one means that there is no session.
///
/// ```
/// use std::collections::BTreeMap;
/// use std::sync::{Arc, Mutex};
///
/// use runner_api::SessionInfo;
/// use runner_core::executor::{Environment, JobKey};
/// use runner_core::session::{Session, Sessions};
/// use runner_core::settings::RunnerIdentity;
///
/// type Doors = Arc<Mutex<BTreeMap<String, JobKey>>>;
///
/// /// Knows which address leads to which job.
/// #[derive(Debug, Default)]
/// struct Porter {
///     doors: Doors,
/// }
///
/// #[derive(Debug)]
/// struct Door {
///     path: String,
///     doors: Doors,
/// }
///
/// impl Sessions for Porter {
///     fn open(&self, _runner: &RunnerIdentity) -> Option<Box<dyn Session>> {
///         // A real one takes a long random path and a random secret.
///         Some(Box::new(Door { path: "session/f00d".into(), doors: Arc::clone(&self.doors) }))
///     }
/// }
///
/// impl Session for Door {
///     fn info(&self) -> SessionInfo {
///         SessionInfo::new(format!("https://runner.example.com:8093/{}", self.path), "", "secret")
///     }
///
///     fn begin(&self, job: &JobKey) {
///         self.doors.lock().unwrap().insert(self.path.clone(), job.clone());
///     }
///
///     fn end(&self) {
///         self.doors.lock().unwrap().remove(&self.path);
///     }
/// }
///
/// let builder = runner_core::manager::Manager::builder().sessions(Arc::new(Porter::default()));
/// ```
pub trait Sessions: Send + Sync + fmt::Debug {
    /// A session for the job that `runner` is about to ask for; `None`: this request goes without. It is dropped when the request
    /// brings no job, or one that cannot be written down.
    fn open(&self, runner: &RunnerIdentity) -> Option<Box<dyn Session>>;
}

/// Makes none: requests carry no `session`.
///
/// ```
/// use runner_core::session::{NoSessions, Sessions};
/// # let identity = runner_core::settings::RunnerIdentity {
/// #     name: "mine".into(),
/// #     url: "https://gitlab.example.com".parse()?,
/// #     token: "glrt-secret".into(),
/// #     system_id: "s_0123456789ab".into(),
/// # };
///
/// assert!(NoSessions.open(&identity).is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSessions;

impl Sessions for NoSessions {
    fn open(&self, _: &RunnerIdentity) -> Option<Box<dyn Session>> {
        None
    }
}

/// Where users reach one job; see [`Sessions`] for an example.
///
/// [`begin`](Self::begin) comes at most once. After it, however the job ends, [`end`](Self::end) comes exactly once, also when its
/// run panics or is dropped. Calls must not block; a panic in one is logged and changes nothing for the job.
pub trait Session: Send + Sync + fmt::Debug {
    /// What the request for a job says of it.
    fn info(&self) -> SessionInfo;

    /// The request brought this job, and it is written down: users may come.
    fn begin(&self, job: &JobKey);

    /// The job's place is prepared. Not called for a job that never gets so far. Who keeps the environment beyond
    /// [`end`](Self::end) keeps nothing alive outside: dropping it only detaches.
    fn attach(&self, environment: &Arc<dyn Environment>) {
        let _ = environment;
    }

    /// The job is over, and GitLab knows or cannot be told: nobody may come any more.
    fn end(&self);
}

/// Opens a session for a request.
pub(crate) fn open(
    sessions: &dyn Sessions,
    runner: &RunnerIdentity,
) -> Option<(Box<dyn Session>, SessionInfo)> {
    let opened = guarded_now(|| {
        let session = sessions.open(runner)?;
        let info = session.info();
        Some((session, info))
    });
    opened.unwrap_or_else(|panic| {
        tracing::error!(runner = %runner.name, %panic, "opening a session panicked");
        None
    })
}

/// The session of a job that has begun; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct JobSession {
    session: Box<dyn Session>,
    job: JobKey,
}

impl JobSession {
    pub(crate) fn begin(session: Box<dyn Session>, job: &JobKey) -> Self {
        let begun = Self { session, job: job.clone() };
        begun.tell("begin", |session| session.begin(job));
        begun
    }

    pub(crate) fn attach(&self, environment: &Arc<dyn Environment>) {
        self.tell("attach", |session| session.attach(environment));
    }

    fn tell(&self, what: &str, call: impl FnOnce(&dyn Session)) {
        if let Err(panic) = guarded_now(|| call(&*self.session)) {
            tracing::error!(job = %self.job, what, %panic, "a session panicked");
        }
    }
}

impl Drop for JobSession {
    fn drop(&mut self) {
        self.tell("end", |session| session.end());
    }
}
