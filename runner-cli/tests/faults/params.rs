//! Size and seed of a run, the only thing that is read from the environment.

/// What a run is like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Params {
    /// Jobs, without those that the last one stands for.
    pub(crate) jobs: usize,
    /// Decides about jobs and faults.
    pub(crate) seed: u64,
    /// How often the runner is killed and started again.
    pub(crate) kills: usize,
    /// Jobs at the same time.
    pub(crate) slots: usize,
}

impl Params {
    /// `FAULTS_JOBS`, `FAULTS_SEED`, `FAULTS_KILLS`; without them what every change has to pass.
    pub(crate) fn read() -> Self {
        Self {
            jobs: number("FAULTS_JOBS", 60),
            seed: number("FAULTS_SEED", 1),
            kills: number("FAULTS_KILLS", 0),
            slots: 20,
        }
    }

    /// Whether this is the run for every change, which must not take long.
    pub(crate) fn is_short(&self) -> bool {
        self.jobs <= 100
    }
}

fn number<T: std::str::FromStr>(name: &str, default: T) -> T {
    #[expect(clippy::disallowed_methods, reason = "whoever runs the test chooses its size and seed")]
    let text = std::env::var(name).ok().filter(|text| !text.is_empty());
    let Some(text) = text else { return default };
    text.parse().ok().unwrap_or_else(|| panic!("{name} is no number: {text}"))
}
