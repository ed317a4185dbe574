//! The promise about large output, at full size: not run unless asked for.
#![expect(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod machine;

use machine::Machine;
use runner_core::conformance::{self, Options};

#[test]
fn a_gibibyte_of_output_arrives_whole() {
    conformance::test("large_output_arrives_whole", Machine::new, &Options::full());
}
