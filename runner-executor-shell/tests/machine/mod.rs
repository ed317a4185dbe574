//! A machine of its own for the conformance suite.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use runner_core::conformance::Host;
use runner_core::executor::Provider;
use runner_executor_shell::{ShellConfig, ShellProvider};
use tempfile::TempDir;

/// Folders of a machine of its own.
pub(crate) struct Machine {
    temp: TempDir,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self { temp: TempDir::new().unwrap() }
    }

    fn config(&self) -> ShellConfig {
        let at = |name: &str| self.temp.path().join(name);
        let mut config = ShellConfig::new(at("state"), at("builds"), at("cache"), vec![helper()]);
        // Login shells read profiles; those of the user who runs the tests are of no interest.
        config.environment.push(("HOME".into(), self.temp.path().to_str().unwrap().to_owned()));
        config
    }
}

#[async_trait]
impl Host for Machine {
    async fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(ShellProvider::new(self.config()))
    }

    async fn failing_provider(&self) -> Option<Arc<dyn Provider>> {
        let mut config = self.config();
        config.builds_dir = "/proc/no/builds".into();
        Some(Arc::new(ShellProvider::new(config)))
    }

    fn folders(&self) -> Vec<PathBuf> {
        vec![self.config().state_dir]
    }
}

/// The example `helper` of this crate, built beside the tests.
fn helper() -> String {
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent().unwrap().parent().unwrap().join("examples/helper");
    assert!(path.exists(), "{} is built by `cargo test` without a choice of targets", path.display());
    path.to_str().unwrap().to_owned()
}
