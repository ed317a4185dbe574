//! What the suite is given.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::executor::Provider;

/// Where the executor under test works. Every check gets a new one, so that none sees what another left behind.
#[async_trait]
pub trait Host: Send + Sync {
    /// A provider as a manager makes it at its start. A second one is that of the next manager on the same host: it has to
    /// find what the first left.
    async fn provider(&self) -> Arc<dyn Provider>;

    /// A provider whose environments cannot be prepared: a missing image, a folder that cannot be made. `None`: there is no
    /// way to make one here.
    async fn failing_provider(&self) -> Option<Arc<dyn Provider>> {
        None
    }

    /// Folders of this machine in which the executor keeps something of its jobs: after cleaning up they have to look as before
    /// the job. The folder itself may be made and stay.
    fn folders(&self) -> Vec<PathBuf> {
        Vec::new()
    }
}

/// How the suite runs.
///
/// ```
/// use runner_core::conformance::Options;
///
/// let options = Options::full().not_applicable(&["a_job_is_adopted_and_goes_on"]);
/// assert_eq!(options.large_output, 1 << 30);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Bytes that the check of large output prints. 8 MiB by default.
    pub large_output: u64,
    /// A check that takes longer is hanging and has failed. 120 s by default; not a measure of speed.
    pub deadline: Duration,
    /// Names of the checks that are known not to apply.
    pub not_applicable: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { large_output: 8 << 20, deadline: Duration::from_secs(120), not_applicable: Vec::new() }
    }
}

impl Options {
    /// The same with 1 GiB of output and time for it.
    pub fn full() -> Self {
        Self { large_output: 1 << 30, deadline: Duration::from_secs(1800), ..Self::default() }
    }

    /// Says which checks do not apply to this executor. A check that does not apply and is not named here fails its test, and
    /// so does one that is named and applies.
    #[must_use]
    pub fn not_applicable(mut self, names: &[&str]) -> Self {
        self.not_applicable.extend(names.iter().map(|&name| name.to_owned()));
        self
    }
}
