//! What the jobs of a run left: logs, tests, artifacts.

use runner_coordinator::core::{Content, JobId, read_dotenv};
use runner_coordinator::http::Handle;

use super::artifacts;
use super::report::{Artifact, JobReport, Tests};
use super::ui::Row;

/// Failed tests that are listed at the end of a run, for each job.
const LISTED: usize = 10;

/// What one job left: everything of its last try.
pub(super) fn of_job(
    coordinator: &Handle,
    job: Option<JobId>,
    row: Row,
    notes: &mut Vec<String>,
) -> JobReport {
    let mut report = JobReport::new(row);
    let Some(job) = job else { return report };
    report.log = coordinator.read_trace(job, 0);
    let artifacts = coordinator.job(job, |record| {
        let artifacts = record.artifacts.iter();
        let uploaded = artifacts.map(|artifact| {
            let (kind, file) = (artifact.artifact_type.clone(), artifact.filename.clone());
            let files = None;
            (Artifact { kind, file, size: artifact.size, files }, artifact.content.clone())
        });
        uploaded.collect()
    });
    let artifacts: Vec<(Artifact, Content)> = artifacts.unwrap_or_default();
    for (mut artifact, content) in artifacts {
        match (&content, artifact.kind.as_str()) {
            (Content::File(path), "archive") => artifact.files = artifacts::count(path),
            (Content::File(path), "junit") => match Tests::of_archive(path) {
                Ok(tests) => report.tests = Some(tests),
                Err(error) => notes.push(format!("{}: its JUnit report: {error}", report.row.name)),
            },
            (Content::File(path), "dotenv") => {
                // A report that cannot be read has failed the job already.
                let read = std::fs::read(path).ok().and_then(|upload| read_dotenv(&upload).ok());
                let warnings = read.map(|dotenv| dotenv.warnings).unwrap_or_default();
                notes.extend(warnings.iter().map(|warning| format!("{}: {warning}", report.row.name)));
            }
            _ => {}
        }
        // Said by GitLab's own pages, too: what a job prints is no artifact.
        if artifact.kind != "trace" && artifact.kind != "metadata" {
            report.artifacts.push(artifact);
        }
    }
    report
}

/// The lines that sum tests up, one for each job that reported any, and its failures.
pub(super) fn tests(jobs: &[JobReport]) -> Vec<String> {
    let mut lines = Vec::new();
    for (job, tests) in jobs.iter().filter_map(|job| Some((job, job.tests.as_ref()?))) {
        let skipped = if tests.skipped > 0 { format!(", {} skipped", tests.skipped) } else { String::new() };
        lines.push(format!(
            "tests of {}: {}, {} failed{skipped}",
            job.row.name,
            tests.total,
            tests.failed.len()
        ));
        for test in tests.failed.iter().take(LISTED) {
            let message = if test.message.is_empty() { String::new() } else { format!(": {}", test.message) };
            lines.push(format!("  {}{message}", test.name));
        }
        let more = tests.failed.len().saturating_sub(LISTED);
        if more > 0 {
            lines.push(format!("  and {more} more"));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use runner_coordinator::run::Status;

    use super::super::report::FailedTest;
    use super::*;

    #[test]
    fn tests_are_summed_up() {
        let row = Row::sample("unit", Status::Failed, None);
        let failed = |index: usize| FailedTest { name: format!("t{index}"), message: "m".to_owned() };
        let tests = Tests { total: 40, skipped: 2, failed: (0..12).map(failed).collect() };
        let job = JobReport { tests: Some(tests), ..JobReport::new(row) };
        let lines = super::tests(&[job]);
        assert_eq!(lines[0], "tests of unit: 40, 12 failed, 2 skipped");
        assert_eq!((lines[1].as_str(), lines[11].as_str(), lines.len()), ("  t0: m", "  and 2 more", 12));
    }
}
