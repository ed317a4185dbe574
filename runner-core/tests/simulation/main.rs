//! The run loop, the client, the coordinator's core and places to run in, in one thread under one seeded clock.
//!
//! A schedule is made of a seed alone: when jobs come, what they print and how they end, what the network does to each request,
//! when the manager dies or is interrupted and when the next one starts. After each schedule the promises are checked that
//! hold whatever happens ([`promises`]). A schedule that breaks one is named by its seed and can be run again:
//!
//! ```text
//! SIMULATION_SEED=42 RUSTFLAGS="--cfg tokio_unstable" cargo test -p runner-core --test simulation -- --nocapture
//! ```
//!
//! Without the flag tokio wakes those who wait for the same thing in an order that is not in our hands, and a second run may go
//! another way.
//!
//! `SIMULATION_SCHEDULES` says how many are tried.

#![expect(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the report")]
#![expect(clippy::print_stderr, reason = "a schedule that is run by hand is told")]
#![expect(clippy::disallowed_methods, reason = "what to run is said by the environment")]

mod dice;
mod fuse;
mod network;
#[path = "../run_loop/support/payload.rs"]
#[expect(dead_code, reason = "only a part of it is used here")]
mod payload;
mod places;
mod promises;
mod state;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

/// How many schedules are tried when nothing else is said.
const SCHEDULES: u64 = 150;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn whatever_happens_the_promises_hold() {
    if let Some(seed) = setting("SIMULATION_SEED") {
        let history = world::run(seed);
        println!("{}", history.join("\n"));
        return;
    }
    let schedules = setting("SIMULATION_SCHEDULES").unwrap_or(SCHEDULES);
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= schedules {
                        return;
                    }
                    world::run(seed);
                }
            });
        }
    });
}

/// Only with tokio's dice in our hands.
#[cfg(tokio_unstable)]
#[test]
fn the_same_seed_gives_the_same_history() {
    for seed in 0..20 {
        assert_eq!(world::run(seed), world::run(seed), "seed {seed}");
    }
}
