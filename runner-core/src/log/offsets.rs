//! How far each stage's output is taken.

use std::sync::Arc;

use crate::executor::StageKey;

/// Source offset per stage. A job has few stages and mostly one that prints, the last one.
#[derive(Debug, Clone, Default)]
pub(super) struct Offsets {
    stages: Vec<(Arc<StageKey>, u64)>,
}

impl Offsets {
    /// The end of what is taken of a stage; 0 if nothing is.
    pub(super) fn get(&self, stage: &StageKey) -> u64 {
        self.stages.iter().rev().find(|(key, _)| **key == *stage).map_or(0, |(_, end)| *end)
    }

    /// Sets it; returns a shared copy of the key.
    pub(super) fn set(&mut self, stage: &StageKey, end: u64) -> Arc<StageKey> {
        if let Some((key, at)) = self.stages.iter_mut().rev().find(|(key, _)| **key == *stage) {
            *at = end;
            return key.clone();
        }
        let key = Arc::new(stage.clone());
        self.stages.push((key.clone(), end));
        key
    }

    /// All of them, in the order of their first output.
    pub(super) fn to_vec(&self) -> Vec<(StageKey, u64)> {
        self.stages.iter().map(|(key, end)| ((**key).clone(), *end)).collect()
    }
}

impl From<Vec<(StageKey, u64)>> for Offsets {
    fn from(stages: Vec<(StageKey, u64)>) -> Self {
        Self { stages: stages.into_iter().map(|(key, end)| (Arc::new(key), end)).collect() }
    }
}
