//! Shares of the runner's own limit and of `concurrent`, held by a job to its end.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::{AcquireError, OwnedSemaphorePermit};

use super::runner::Runner;
use super::shared::Shared;

/// Shares of the runner's own limit and of the manager's.
#[derive(Debug)]
pub(super) struct Permits {
    _own: Option<OwnedSemaphorePermit>,
    _common: OwnedSemaphorePermit,
}

impl Permits {
    /// Both limits serve in the order of asking, so that no runner waits for ever.
    pub(super) async fn wait(runner: &Runner, shared: &Shared) -> Result<Self, AcquireError> {
        let own = own(runner).await?;
        let common = shared.common.share(runner.key()).await?;
        Ok(Self { _own: own, _common: common })
    }
}

async fn own(runner: &Runner) -> Result<Option<OwnedSemaphorePermit>, AcquireError> {
    match &runner.limit {
        Some(limit) => Ok(Some(Arc::clone(limit).acquire_owned().await?)),
        None => Ok(None),
    }
}

/// The shares of a job that runs already, whatever the limits say now. Those that are not free are its due: when they become free
/// they are its own, before anybody else gets them, so that nothing new is taken until the limits are kept again.
pub(super) struct Owed {
    shares: Pin<Box<dyn Future<Output = Result<Permits, AcquireError>> + Send>>,
    taken: Option<Permits>,
}

impl Owed {
    /// Takes what is free, and a place in the queues for what is not.
    pub(super) async fn claim(runner: &Arc<Runner>, shared: &Arc<Shared>) -> Self {
        let (runner, shared) = (Arc::clone(runner), Arc::clone(shared));
        let mut shares = Box::pin(async move {
            // Beside each other: a queue that is not entered is not waited in.
            let (own, common) = tokio::join!(own(&runner), shared.common.share(runner.key()));
            Ok(Permits { _own: own?, _common: common? })
        });
        // Being polled once is what enters the queues.
        let taken = poll_fn(|context| {
            Poll::Ready(match shares.as_mut().poll(context) {
                Poll::Ready(permits) => permits.ok(),
                Poll::Pending => None,
            })
        });
        let taken = taken.await;
        Self { shares, taken }
    }

    /// Holds them while the job runs.
    pub(super) async fn during<T>(self, job: impl Future<Output = T>) -> T {
        let Self { shares, mut taken } = self;
        tokio::pin!(job);
        if taken.is_none() {
            tokio::select! {
                biased;
                result = &mut job => return result,
                permits = shares => taken = permits.ok(),
            }
        }
        let result = job.await;
        drop(taken);
        result
    }
}
