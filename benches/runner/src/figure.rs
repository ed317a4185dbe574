//! One line of the table.

/// What was measured several times.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// The one in the middle.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The value below which a share of all lies.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
    }

    /// The smallest and the largest.
    pub fn range(&self) -> (f64, f64) {
        (self.quantile(0.0), self.quantile(1.0))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn extend(&mut self, values: impl IntoIterator<Item = f64>) {
        self.0.extend(values);
    }

    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<T: IntoIterator<Item = f64>>(values: T) -> Self {
        Self(values.into_iter().collect())
    }
}

/// What a median is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    AtMost(f64),
    /// So much more than the reference at most.
    Over(f64),
    /// Such a share of the reference at least.
    Share(f64),
}

/// One line of the table.
#[derive(Debug)]
pub struct Figure {
    pub name: String,
    pub unit: &'static str,
    pub ours: Samples,
    /// What it is compared with, and the same of that.
    pub reference: Option<(&'static str, Samples)>,
    pub target: Option<Target>,
    /// The official runner's, as it was measured once on a similar machine; empty: not measured.
    pub official: &'static str,
}

impl Figure {
    pub fn new(name: impl Into<String>, unit: &'static str, ours: Samples) -> Self {
        Self { name: name.into(), unit, ours, reference: None, target: None, official: "" }
    }

    pub fn reference(mut self, what: &'static str, samples: Samples) -> Self {
        self.reference = Some((what, samples));
        self
    }

    pub fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    pub fn official(mut self, text: &'static str) -> Self {
        self.official = text;
        self
    }

    /// Ours as a multiple of the reference.
    pub fn ratio(&self) -> Option<f64> {
        self.reference.as_ref().map(|(_, reference)| self.ours.median() / reference.median())
    }

    /// Whether the target is reached; `None`: there is none.
    pub fn reached(&self) -> Option<bool> {
        let ours = self.ours.median();
        let reference = self.reference.as_ref().map_or(f64::NAN, |(_, samples)| samples.median());
        Some(match self.target? {
            Target::AtMost(most) => ours <= most,
            Target::Over(more) => ours <= reference + more,
            Target::Share(share) => ours >= reference * share,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_judged_by_medians() {
        let samples = |values: &[f64]| values.iter().copied().collect::<Samples>();
        let figure = |ours: &[f64], target| {
            Figure::new("", "ms", samples(ours))
                .reference("other", samples(&[10.0, 30.0, 20.0]))
                .target(target)
        };
        assert_eq!(figure(&[31.0, 90.0, 1.0], Target::Over(11.0)).reached(), Some(true));
        assert_eq!(figure(&[32.0], Target::Over(11.0)).reached(), Some(false));
        assert_eq!(figure(&[13.0], Target::Share(0.7)).reached(), Some(false));
        assert_eq!(figure(&[14.0], Target::Share(0.7)).reached(), Some(true));
        assert_eq!(figure(&[14.0], Target::AtMost(13.0)).reached(), Some(false));
        assert_eq!(figure(&[10.0], Target::AtMost(13.0)).ratio(), Some(0.5));
        assert_eq!(samples(&[1.0, 2.0, 4.0]).range(), (1.0, 4.0));
    }
}
