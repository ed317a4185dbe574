//! Numbers for running jobs: the lowest that is free, per runner and per project of a runner.
//!
//! GitLab documents them as `CI_CONCURRENT_ID` and `CI_CONCURRENT_PROJECT_ID`; shared folders are kept apart by them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use crate::executor::Slots;

/// Gives out [`Slots`]. Cheap to clone; all clones share one table.
#[derive(Debug, Clone, Default)]
pub(crate) struct SlotTable {
    inner: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    runner: HashMap<String, Numbers>,
    project: HashMap<(String, u64), Numbers>,
}

/// Numbers that are taken, and by how many jobs.
type Numbers = BTreeMap<u32, usize>;

/// Slots that are taken while this value lives.
#[derive(Debug)]
pub(crate) struct SlotLease {
    table: SlotTable,
    runner: String,
    project: u64,
    slots: Slots,
}

impl SlotTable {
    /// Takes the lowest free numbers for a job of `project` on `runner` (its short token).
    pub(crate) fn take(&self, runner: &str, project: u64) -> SlotLease {
        let mut taken = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = Slots {
            runner: take_lowest(taken.runner.entry(runner.to_owned()).or_default()),
            project: take_lowest(taken.project.entry((runner.to_owned(), project)).or_default()),
        };
        drop(taken);
        SlotLease { table: self.clone(), runner: runner.to_owned(), project, slots }
    }

    /// Takes given numbers, as a job of an earlier process had them. The journal may name them twice: a job gives them back before its
    /// end is told, and another may have had them when the process died.
    pub(crate) fn retake(&self, runner: &str, project: u64, slots: Slots) -> SlotLease {
        let mut taken = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        *taken.runner.entry(runner.to_owned()).or_default().entry(slots.runner).or_default() += 1;
        *taken.project.entry((runner.to_owned(), project)).or_default().entry(slots.project).or_default() +=
            1;
        drop(taken);
        SlotLease { table: self.clone(), runner: runner.to_owned(), project, slots }
    }

    fn release(&self, runner: &str, project: u64, slots: Slots) {
        let mut taken = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(numbers) = taken.runner.get_mut(runner) {
            leave(numbers, slots.runner);
        }
        let key = (runner.to_owned(), project);
        if let Some(numbers) = taken.project.get_mut(&key) {
            leave(numbers, slots.project);
            if numbers.is_empty() {
                taken.project.remove(&key);
            }
        }
    }
}

impl SlotLease {
    /// The numbers.
    pub(crate) fn slots(&self) -> Slots {
        self.slots
    }
}

impl Drop for SlotLease {
    fn drop(&mut self) {
        self.table.release(&self.runner, self.project, self.slots);
    }
}

fn take_lowest(taken: &mut Numbers) -> u32 {
    let free = (0..=u32::MAX).find(|number| !taken.contains_key(number)).unwrap_or(u32::MAX);
    *taken.entry(free).or_default() += 1;
    free
}

fn leave(taken: &mut Numbers, number: u32) {
    if let Entry::Occupied(mut holders) = taken.entry(number) {
        *holders.get_mut() -= 1;
        if *holders.get() == 0 {
            holders.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_numbers_are_given_out_and_reused() {
        let table = SlotTable::default();
        let first = table.take("abc", 7);
        let second = table.take("abc", 7);
        let other_project = table.take("abc", 8);
        let other_runner = table.take("xyz", 7);
        assert_eq!(first.slots(), Slots { runner: 0, project: 0 });
        assert_eq!(second.slots(), Slots { runner: 1, project: 1 });
        assert_eq!(other_project.slots(), Slots { runner: 2, project: 0 });
        assert_eq!(other_runner.slots(), Slots { runner: 0, project: 0 });

        drop(first);
        assert_eq!(table.take("abc", 7).slots(), Slots { runner: 0, project: 0 });
    }

    #[test]
    fn a_job_of_an_earlier_process_keeps_its_numbers() {
        let table = SlotTable::default();
        let kept = table.retake("abc", 7, Slots { runner: 0, project: 0 });
        assert_eq!(table.take("abc", 7).slots(), Slots { runner: 1, project: 1 });
        drop(kept);
        assert_eq!(table.take("abc", 7).slots(), Slots { runner: 0, project: 0 });
    }

    #[test]
    fn numbers_that_two_jobs_had_are_free_when_both_have_ended() {
        let table = SlotTable::default();
        let both = Slots { runner: 0, project: 0 };
        let (first, second) = (table.retake("abc", 7, both), table.retake("abc", 7, both));
        drop(first);
        assert_eq!(table.take("abc", 7).slots(), Slots { runner: 1, project: 1 });
        drop(second);
        assert_eq!(table.take("abc", 7).slots(), both);
    }
}
