//! The suite by which an executor proves itself: one line in its tests, one test for each promise of the
//! [executor seam](crate::executor).
//!
//! ```
//! use std::sync::Arc;
//!
//! use async_trait::async_trait;
//! use runner_core::conformance::Host;
//! use runner_core::executor::Provider;
//! # use runner_core::executor::{
//! #     Capabilities, EnvironmentError, Executor, ExecutorFactory, JobContext, Notices, Output, Place, PrepareRequest,
//! #     ProviderInfo, SimpleProvider, StageEnd, StageInput, StageKey,
//! # };
//! # #[derive(Debug)]
//! # struct MyFactory;
//! # struct Mine;
//! # #[async_trait]
//! # impl Executor for Mine {
//! #     async fn prepare(&mut self, _: PrepareRequest, _: Notices) -> Result<Place, EnvironmentError> { unreachable!() }
//! #     async fn run(
//! #         &mut self, _: &StageKey, _: StageInput, _: &mut Output, _: tokio_util::sync::CancellationToken,
//! #     ) -> Result<StageEnd, EnvironmentError> { unreachable!() }
//! # }
//! # impl ExecutorFactory for MyFactory {
//! #     type Executor = Mine;
//! #     fn info(&self) -> ProviderInfo { unreachable!() }
//! #     fn executor(&self, _: &JobContext) -> Result<Mine, EnvironmentError> { unreachable!() }
//! # }
//!
//! /// Where the executor works; each check gets one of its own.
//! struct Machine;
//!
//! #[async_trait]
//! impl Host for Machine {
//!     async fn provider(&self) -> Arc<dyn Provider> {
//!         Arc::new(SimpleProvider::new(MyFactory))
//!     }
//! }
//!
//! // In `tests/conformance.rs`: a `#[test]` for each check.
//! runner_core::conformance::suite!(|| Machine);
//! ```
//!
//! * [`checks`] lists the checks, each with the promise that it proves.
//! * What an executor cannot do, by its [capabilities](crate::executor::Capabilities) or because it works on another machine,
//!   is *not applicable*, and its tests have to say so: [`Options::not_applicable`]. Nothing is left out in silence, and
//!   nothing that fails can be excused.
//! * [`run`] gives a [`Report`] instead of tests; [`test`] makes one check with other [`Options`].
//!
//! The checks run scripts for a POSIX shell. They wait for what happens, never for time to pass; the only clock is
//! [`Options::deadline`], behind which a check counts as hanging.

mod bench;
mod checks;
mod host;
mod processes;
mod report;
mod run;
mod suite;

pub use crate::__conformance_suite as suite;
pub use checks::{Check, checks};
pub use host::{Host, Options};
pub use report::{Report, Verdict};
pub use run::{run, run_check};
#[doc(hidden)]
pub use suite::all_are_named;
pub use suite::test;
