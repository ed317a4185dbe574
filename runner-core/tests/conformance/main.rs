//! The suite judges rightly: a whole executor passes, and every broken one is caught by the check that is meant for it.
#![expect(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod reference;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use runner_core::conformance::Host;
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
