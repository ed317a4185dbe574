//! Nothing is lost under faults: many jobs of all kinds, seeded faults on every endpoint of the Runner API, the real program
//! over real HTTP. Every job ends in its true state exactly once, every trace is the masked output to the byte, every artifact
//! is what was made.
//!
//! What a job prints, how it ends and what its trace must be is made up from the seed and worked out here, without the
//! program's own libraries. The run is repeated with the same seed:
//!
//! ```text
//! FAULTS_JOBS=1000 FAULTS_SEED=7 FAULTS_KILLS=2 cargo test --package runner-cli --test faults -- --nocapture
//! ```

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: a panic is the report")]

mod check;
mod disorder;
mod expect;
mod folder;
mod jobs;
mod mask;
mod params;
mod payload;
mod program;
mod runner;
mod stamps;
mod summary;
mod trace;
mod wire;
mod world;

use params::Params;
use world::World;

#[test]
fn nothing_is_lost_under_faults() {
    let params = Params::read();
    let mut world = World::start(&params);
    world.run();
    world.last_job();
    world.end();
}
