//! Identifiers and tokens from one seeded generator, so that two coordinators with the same seed and the same calls
//! hand out the same values.

use std::fmt;

/// Id of a job, unique within one coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

impl From<u64> for JobId {
    fn from(id: u64) -> Self {
        Self(id)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Id of a runner, unique within one coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunnerId(pub u64);

impl fmt::Display for RunnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Source of ids, tokens and queue values.
#[derive(Debug)]
pub(super) struct Ids {
    state: u64,
    next_job: u64,
    next_runner: u64,
}

impl Ids {
    pub(super) fn new(seed: u64, first_job: u64) -> Self {
        Self { state: seed, next_job: first_job, next_runner: 1 }
    }

    pub(super) fn job(&mut self) -> JobId {
        let id = self.next_job;
        self.next_job += 1;
        JobId(id)
    }

    pub(super) fn runner(&mut self) -> RunnerId {
        let id = self.next_runner;
        self.next_runner += 1;
        RunnerId(id)
    }

    /// `prefix` followed by 20 alphanumerics.
    pub(super) fn token(&mut self, prefix: &str) -> String {
        const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let mut token = String::from(prefix);
        for _ in 0..20 {
            let index = self.next() % ALPHABET.len() as u64;
            token.push(char::from(ALPHABET[index as usize]));
        }
        token
    }

    /// 32 lower-case hex digits, the shape of GitLab's queue values.
    pub(super) fn queue_value(&mut self) -> String {
        format!("{:016x}{:016x}", self.next(), self.next())
    }

    /// SplitMix64: reproducible and good enough for values that only have to differ.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        scramble(self.state)
    }
}

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A number that depends on both and looks like neither.
pub(super) fn mix(seed: u64, number: u64) -> u64 {
    scramble(scramble(seed.wrapping_add(STEP)).wrapping_add(number.wrapping_mul(STEP)))
}

fn scramble(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_gives_the_same_values() {
        let (mut a, mut b) = (Ids::new(7, 1), Ids::new(7, 1));
        assert_eq!(a.token("glrt-"), b.token("glrt-"));
        assert_eq!(a.queue_value(), b.queue_value());
        assert_ne!(a.token("glcbt-"), a.token("glcbt-"));
        assert_ne!(Ids::new(8, 1).token(""), Ids::new(7, 1).token(""));
    }

    #[test]
    fn tokens_have_their_prefix_and_length() {
        let token = Ids::new(0, 1).token("glcbt-");
        assert!(token.starts_with("glcbt-"));
        assert_eq!(token.len(), "glcbt-".len() + 20);
    }
}
