//! The suite judges rightly: a whole executor passes, and every broken one is caught by the check that is meant for it.
#![expect(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod broken;
mod broken_stream;
mod fault;
mod judge;
mod reference;
mod table;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use runner_core::conformance::{Host, Options, checks, run};
use runner_core::executor::Provider;

use crate::reference::{Reference, World};

/// The reference executor, with nothing wrong.
struct Whole(Arc<World>);

#[async_trait]
impl Host for Whole {
    async fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(Reference { world: Arc::clone(&self.0), fails: false })
    }

    async fn failing_provider(&self) -> Option<Arc<dyn Provider>> {
        Some(Arc::new(Reference { world: Arc::clone(&self.0), fails: true }))
    }

    fn folders(&self) -> Vec<PathBuf> {
        vec![self.0.state()]
    }
}

runner_core::conformance::suite!(|| Whole(World::new()));

/// The same where less can be looked at.
struct Bare(Whole);

#[async_trait]
impl Host for Bare {
    async fn provider(&self) -> Arc<dyn Provider> {
        self.0.provider().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_says_what_did_not_apply() {
    let report = run(|| Bare(Whole(World::new())), &Options::default()).await;
    assert_eq!(report.verdicts.len(), checks().len());
    assert_eq!(report.failed(), Vec::<&str>::new(), "{report}");
    let not_applicable = ["making_an_environment_makes_nothing_else", "a_failure_to_prepare_says_why"];
    assert_eq!(report.not_applicable(), not_applicable);
    assert!(
        report
            .to_string()
            .contains("n/a     a_failure_to_prepare_says_why: the host offers no provider that fails\n")
    );
}
