//! The shell executor keeps the promises of the executor seam.
#![expect(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod machine;

use machine::Machine;

runner_core::conformance::suite!(Machine::new);
