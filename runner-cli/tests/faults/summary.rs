//! What a run has seen, in numbers.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use runner_coordinator::core::{Endpoint, FaultRecord};

use crate::params::Params;
use crate::wire::Wire;

/// The numbers of a run.
#[derive(Debug)]
pub(crate) struct Summary<'a> {
    pub(crate) params: Params,
    /// With the last ones.
    pub(crate) jobs: usize,
    /// Assignments that nobody heard of.
    pub(crate) lost: usize,
    /// Jobs that were under way when the runner was killed.
    pub(crate) orphaned: usize,
    pub(crate) wire: &'a Wire,
    pub(crate) injected: &'a [FaultRecord],
    pub(crate) time: Duration,
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Params { seed, kills, slots, .. } = self.params;
        let seconds = self.time.as_secs_f32();
        writeln!(f, "seed {seed}: {} jobs in {slots} slots, {seconds:.1} s", self.jobs)?;
        let Self { lost, orphaned, .. } = self;
        writeln!(f, "  {lost} assignments lost; {kills} kills with {orphaned} jobs under way")?;
        let sum = |of: &dyn Fn(&crate::wire::JobWire) -> u64| self.wire.jobs().map(of).sum::<u64>();
        let repeated = sum(&|job| (job.finals.len() as u64).saturating_sub(1));
        let again = sum(&|job| job.uploads.saturating_sub(1));
        writeln!(
            f,
            "  {} PATCHes, {} of them resent; {repeated} final updates and {again} uploads repeated",
            sum(&|job| job.patches),
            sum(&|job| job.resent)
        )?;
        let mut kinds: BTreeMap<Endpoint, BTreeMap<String, usize>> = BTreeMap::new();
        for record in self.injected {
            *kinds.entry(record.endpoint).or_default().entry(record.effect.to_string()).or_default() += 1;
        }
        writeln!(f, "  {} faults:", self.injected.len())?;
        for (endpoint, kinds) in kinds {
            let requests = self.wire.counts.get(&endpoint).copied().unwrap_or_default();
            let list: Vec<String> = kinds.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
            writeln!(f, "    {endpoint} ({requests} requests): {}", list.join(", "))?;
        }
        Ok(())
    }
}
