//! Tasks as a parameter: who runs what the core does beside its callers.

use std::fmt;
use std::pin::Pin;

/// A task for a [`Spawner`].
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Work for a [`Spawner`] that may block its thread.
pub type BlockingWork = Box<dyn FnOnce() + Send>;

/// Runs tasks. Programs use [`TokioSpawner`]; a simulation has its own, to end a whole manager at once or to keep the order
/// of things.
pub trait Spawner: Send + Sync + fmt::Debug {
    /// Runs `task` beside the caller, to its end.
    fn spawn(&self, task: Task);

    /// Runs work that waits for a disk where waiting harms nobody.
    fn spawn_blocking(&self, work: BlockingWork);
}

/// Runs everything in tokio's runtime. Must be used within one.
///
/// ```
/// use runner_core::task::{Spawner, TokioSpawner};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (done, end) = tokio::sync::oneshot::channel();
/// TokioSpawner.spawn(Box::pin(async move {
///     let _ = done.send("done");
/// }));
/// assert_eq!(end.await, Ok("done"));
/// # });
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct TokioSpawner;

impl Spawner for TokioSpawner {
    fn spawn(&self, task: Task) {
        drop(tokio::spawn(task));
    }

    fn spawn_blocking(&self, work: BlockingWork) {
        drop(tokio::task::spawn_blocking(work));
    }
}
