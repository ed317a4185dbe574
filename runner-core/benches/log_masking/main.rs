//! How fast output becomes a log, part by part and as a whole, against `aho-corasick` alone that looks for the same 20 secrets
//! in the same frames: by its vector search (leftmost matches, the kind that masking needs) and by its automaton (what it
//! does by default).
//!
//! The columns: bytes of output per second of CPU time, all threads and the system's share included, so that a second core does
//! not count; nanoseconds per byte; and the rate as a share of both references. Each way of going through the bytes
//! is taken several times in turn and its best time counts: on a busy machine only ratios of one run mean something. The
//! bare ways (a copy, a checksum, a write to a new file) show what no log path can be faster than.
//!
//! `cargo bench -p runner-core --bench log_masking`, or with `-- WORD`: only the ways whose name holds the word.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program for the terminal")]

mod memory;
mod text;
mod ways;

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Bytes of output in one measurement.
const TOTAL: usize = 64 << 20;

const ROUNDS: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let secrets: Vec<String> = (0..20).map(text::secret).collect();
    match arguments.as_slice() {
        [first, jobs, mib] if first == memory::ARGUMENT => {
            memory::child(&secrets, jobs.parse().unwrap(), mib.parse().unwrap());
        }
        _ => {
            let word = arguments.iter().find(|argument| !argument.starts_with('-'));
            rates(&secrets, word.map_or("", String::as_str));
            memory::print();
        }
    }
}

fn rates(secrets: &[String], word: &str) {
    for (name, every) in
        [("no secret in it", usize::MAX), ("a secret in each 100th line", 100), ("a secret in each line", 1)]
    {
        let text = text::build(secrets, every, TOTAL);
        let mut ways = ways::all(secrets, &text);
        ways.retain(|way| way.is_reference || way.name.contains(word));
        let mut best = vec![Duration::MAX; ways.len()];
        for _ in 0..ROUNDS {
            for (way, best) in ways.iter().zip(&mut best) {
                let start = cpu_time();
                let rest = (way.run)();
                *best = (cpu_time() - start).min(*best);
                // Files are removed when nothing is measured.
                drop(rest);
            }
        }
        println!("{} MiB, {name}", TOTAL >> 20);
        println!("  {:<48}{:>9}{:>9}{:>9}{:>11}", "", "MB/s", "ns/byte", "/vector", "/automaton");
        for (way, time) in ways.iter().zip(&best) {
            let time = time.as_secs_f64();
            let ratio = |reference: usize| best[reference].as_secs_f64() / time;
            let rate = TOTAL as f64 / time / 1e6;
            let per_byte = time * 1e9 / TOTAL as f64;
            println!("  {:<48}{rate:>9.0}{per_byte:>9.3}{:>9.2}{:>11.2}", way.name, ratio(0), ratio(1));
        }
    }
}

/// What this process has used of all cores.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap()
}
