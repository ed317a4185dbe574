//! What the suite found.

use std::fmt;

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The promise is kept.
    Passed,
    /// It cannot be looked at here, and why.
    NotApplicable(String),
    /// It is broken, and how that showed.
    Failed(String),
}

/// What all checks found, in their order. Its text has one line for each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Name of the check and its verdict.
    pub verdicts: Vec<(&'static str, Verdict)>,
}

impl Report {
    /// Names of the checks that failed.
    pub fn failed(&self) -> Vec<&'static str> {
        self.named(|verdict| matches!(verdict, Verdict::Failed(_)))
    }

    /// Names of the checks that did not apply.
    pub fn not_applicable(&self) -> Vec<&'static str> {
        self.named(|verdict| matches!(verdict, Verdict::NotApplicable(_)))
    }

    fn named(&self, wanted: impl Fn(&Verdict) -> bool) -> Vec<&'static str> {
        self.verdicts.iter().filter(|(_, verdict)| wanted(verdict)).map(|(name, _)| *name).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, verdict) in &self.verdicts {
            match verdict {
                Verdict::Passed => writeln!(f, "ok      {name}")?,
                Verdict::NotApplicable(why) => writeln!(f, "n/a     {name}: {why}")?,
                Verdict::Failed(why) => writeln!(f, "FAILED  {name}: {why}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_a_line_for_each_check() {
        let report = Report {
            verdicts: vec![
                ("one", Verdict::Passed),
                ("two", Verdict::NotApplicable("no replay".into())),
                ("three", Verdict::Failed("exit code 0 instead of 1".into())),
            ],
        };
        assert_eq!(
            report.to_string(),
            "ok      one\nn/a     two: no replay\nFAILED  three: exit code 0 instead of 1\n"
        );
        assert_eq!((report.failed(), report.not_applicable()), (vec!["three"], vec!["two"]));
    }
}
