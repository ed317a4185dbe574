//! A row of the table: a fault, what it may cost, and what must hold at the end.

use std::time::Duration;

use runner_coordinator::core::{JobState, Options};

use crate::payload::Payload;
use crate::talker::Script;
use crate::world::{Lived, World, options};

/// What a fault may cost beyond its own length.
pub(crate) const SPARE: Duration = Duration::from_secs(1);

/// A fault that a job survives.
#[derive(Debug)]
pub(crate) struct Row {
    name: &'static str,
    faults: Vec<String>,
    options: Options,
    length: Duration,
    until: Option<Duration>,
    final_states: usize,
}

impl Row {
    /// The usual job under these faults, whose own length is nothing.
    pub(crate) fn new<const N: usize>(name: &'static str, faults: [&str; N]) -> Self {
        Self {
            name,
            faults: faults.map(str::to_owned).to_vec(),
            options: options(),
            length: Duration::ZERO,
            until: None,
            final_states: 1,
        }
    }

    /// So long nothing could have gone on, whatever the runner did: a wait that the server asked for.
    pub(crate) fn length(mut self, length: Duration) -> Self {
        self.length = length;
        self
    }

    /// The fault ends at this time after the job's coming. Its length is what it lasts beyond the job's own end.
    pub(crate) fn until(mut self, end: Duration) -> Self {
        self.until = Some(end);
        self
    }

    /// So many final states are sent, answered or not.
    pub(crate) fn final_states(mut self, count: usize) -> Self {
        self.final_states = count;
        self
    }

    pub(crate) fn options(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    /// Runs the job without the fault and with it; asserts that it ends well, whole and in time.
    pub(crate) async fn check(self) -> Lived {
        let base =
            World::start(Options { seed: self.options.seed, ..options() }, &[], payload(), Script::Lines)
                .end()
                .await;
        let lived = World::start(self.options, &self.faults, payload(), Script::Lines).end().await;
        let name = self.name;
        assert_eq!(lived.state, JobState::Success, "{name}");
        let update = lived.final_update.as_ref().unwrap();
        assert!(update.trace_is_complete(), "{name}: {update:?}");
        assert_eq!((&update.failure_reason, update.exit_code), (&None, None), "{name}");
        assert_eq!(lived.log, base.log, "{name}");
        assert_eq!(lived.ends.len(), self.final_states, "{name}: {:?}", lived.ends);
        let length = self.until.map_or(self.length, |end| end.saturating_sub(base.took));
        in_time(name, length, lived.took.checked_sub(base.took).unwrap());
        lived
    }
}

/// The job of all rows.
pub(crate) fn payload() -> Payload {
    Payload::new(["true"]).after_script(["true"])
}

/// Prints the row; asserts that no more was lost than the fault's own length and a second.
pub(crate) fn in_time(name: &str, length: Duration, lost: Duration) {
    println!("| {name} | {:.1} s | {:.1} s |", length.as_secs_f64(), lost.as_secs_f64());
    assert!(lost <= length + SPARE, "{name}: lost {lost:?} by a fault of {length:?}");
}
