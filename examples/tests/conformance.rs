//! The example's executor keeps the promises of the executor seam.

use std::sync::Arc;

use async_trait::async_trait;
use custom_executor::PlainShell;
use runner_core::conformance::{Host, Options};
use runner_core::executor::{Provider, SimpleProvider};

#[path = "../examples/custom_executor.rs"]
#[expect(dead_code, reason = "the example's own main")]
mod custom_executor;

/// The executor needs nothing.
struct Machine;

#[async_trait]
impl Host for Machine {
    async fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(SimpleProvider::new(PlainShell))
    }
}

fn options() -> Options {
    Options::default().not_applicable(&[
        // The simple form keeps output in the manager, for one reader.
        "output_is_replayed_from_every_offset",
        "two_followers_see_the_same",
        // Its jobs end with the manager.
        "a_job_is_adopted_and_goes_on",
        "an_end_that_nobody_saw_is_known",
        "what_is_gone_is_not_adopted",
        "handles_of_others_are_refused",
        "orphans_are_found_and_removed",
        // It keeps nothing but the place itself, and there is no way to make it fail.
        "making_an_environment_makes_nothing_else",
        "a_failure_to_prepare_says_why",
    ])
}

runner_core::conformance::suite!(|| Machine, options());
