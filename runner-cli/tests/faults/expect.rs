//! What must become of a job, worked out from what it does.

use runner_coordinator::core::JobState;

use crate::jobs::{Deed, End, MARK, Sources, Spec};
use crate::mask::shown;
use crate::payload::AFTER_SCRIPT;
use crate::trace::{headline, notice};

/// What must be in a section.
#[derive(Debug)]
pub(crate) enum Body {
    /// These bytes.
    Exactly(Vec<u8>),
    /// These bytes; then, if it goes on and on, the first lines of `tick 1`, `tick 2`, …; then what some shells say when they
    /// are told to end.
    Stopped { before: Vec<u8>, ticks: bool },
    /// The headline, then lines of which each begins like one of these, colours aside.
    Lines(String, &'static [&'static str]),
}

/// The state that GitLab must have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) state: JobState,
    pub(crate) reason: Option<String>,
    pub(crate) exit_code: Option<i64>,
}

/// The failure reason with which the server fails jobs by itself.
pub(crate) const SERVER_REASON: &str = "stuck_or_timeout_failure";

impl Spec {
    pub(crate) fn outcome(&self) -> Outcome {
        let failed = |reason: &str, exit_code: Option<i64>| Outcome {
            state: JobState::Failed,
            reason: Some(reason.to_owned()),
            exit_code,
        };
        match (self.end, self.server) {
            (End::Success, _) => Outcome { state: JobState::Success, reason: None, exit_code: None },
            (End::Exit(code), _) => failed("script_failure", Some(code.into())),
            (End::Signal(_), _) => failed("script_failure", Some(-1)),
            (End::TooLarge, _) => failed("script_failure", Some(1)),
            (End::Timeout, _) => failed("job_execution_timeout", None),
            (End::Server, Some(Deed::Fail)) => failed(SERVER_REASON, None),
            (End::Server, Some(Deed::CancelAtOnce)) => {
                Outcome { state: JobState::Canceled, reason: None, exit_code: None }
            }
            // As the runner says it: the server does not know the reason `job_canceled`.
            (End::Server, _) => Outcome {
                state: JobState::Canceled,
                reason: Some("unknown_failure".to_owned()),
                exit_code: None,
            },
        }
    }

    /// Whether the trace ends where the server stopped taking it.
    pub(crate) fn is_cut(&self) -> bool {
        matches!(self.server, Some(Deed::CancelAtOnce | Deed::Fail))
    }

    /// The trace's sections in order.
    pub(crate) fn sections(&self) -> Vec<(&'static str, Body)> {
        let lines = |text: &str, starts| Body::Lines(text.to_owned(), starts);
        let mut sections = vec![
            ("prepare_executor", lines("Preparing the \"shell\" executor", &["Using Shell"])),
            ("prepare_script", lines("Preparing environment", &["Running on "])),
            ("get_sources", lines("Getting source from Git repository", self.source_lines())),
        ];
        if self.needs.is_some() {
            sections.push(("download_artifacts", lines("Downloading artifacts", DOWNLOAD_LINES)));
        }
        sections.push(("step_script", self.script()));
        if self.after_script {
            sections.push(("after_script", Body::Exactly(self.after_script())));
        }
        let good = self.end == End::Success || self.end == End::TooLarge;
        if let Some(artifact) = &self.artifact {
            let (name, text) = match good {
                true => ("upload_artifacts_on_success", "Uploading artifacts for successful job"),
                false => ("upload_artifacts_on_failure", "Uploading artifacts for failed job"),
            };
            assert!(artifact.when == "always" || (artifact.when == "on_success") == good);
            sections.push((name, lines(text, UPLOAD_LINES)));
        }
        sections.push((
            "cleanup_file_variables",
            lines("Cleaning up project directory and file based variables", &[]),
        ));
        sections
    }

    /// What the runner says between the sections and after them, from the line about itself on.
    pub(crate) fn said(&self) -> Vec<String> {
        let mut said = Vec::new();
        let cut_off = "WARNING: step_script could not run to completion because the timeout was exceeded. ";
        let end = match (self.end, self.server) {
            (End::Success, _) => "Job succeeded".to_owned(),
            (End::Exit(code), _) => format!("ERROR: Job failed: exit code {code}"),
            (End::Signal(signal), _) => format!("ERROR: Job failed: killed by signal {signal}"),
            (End::TooLarge, _) => "ERROR: Job failed: exit code 1".to_owned(),
            (End::Timeout, _) => {
                said.push(cut_off.to_owned());
                "ERROR: Job failed: the script took longer than 2s".to_owned()
            }
            (End::Server, _) => {
                said.push("WARNING: script canceled externally (UI, API)".to_owned());
                "ERROR: Job failed: canceled".to_owned()
            }
        };
        said.push(end);
        said
    }

    /// What the section of the script shows.
    pub(crate) fn script(&self) -> Body {
        let mut text = headline("Executing \"step_script\" stage of the job script");
        text.extend(notice(&format!("$ {}", self.command())));
        text.extend(shown(&self.program.output(), &self.secrets));
        for line in &self.more {
            text.extend(notice(&format!("$ {line}")));
        }
        // With timestamps the runner's own lines never follow on the same line.
        if self.stamped && text.last() != Some(&b'\n') {
            text.push(b'\n');
        }
        match self.end {
            End::Timeout | End::Server => Body::Stopped { before: text, ticks: self.program.ticks() },
            _ => Body::Exactly(text),
        }
    }

    fn after_script(&self) -> Vec<u8> {
        let status = match self.end {
            End::Success | End::TooLarge => "success",
            End::Exit(_) | End::Signal(_) => "failed",
            End::Timeout => "timedout",
            End::Server => "canceled",
        };
        let mut text = headline("Running after_script");
        text.extend(notice("Running after script..."));
        text.extend(notice(&format!("$ {AFTER_SCRIPT}")));
        text.extend(format!("after {status}\n").into_bytes());
        text
    }

    fn source_lines(&self) -> &'static [&'static str] {
        match self.sources {
            Sources::None => {
                &["Skipping Git repository setup", "Skipping Git checkout", "Skipping Git submodules setup"]
            }
            Sources::Empty => &[
                "Skipping Git repository setup and creating an empty build directory",
                "Skipping Git checkout",
                "Skipping Git submodules setup",
            ],
            Sources::Git => &[
                "Gitaly correlation ID: ",
                "Fetching changes...",
                "Initialized empty Git repository in ",
                "Reinitialized existing Git repository in ",
                "Created fresh repository.",
                "From file://",
                "Checking out ",
                "Removing ",
                "Skipping Git submodules setup",
                " * [new ",
            ],
        }
    }
}

const DOWNLOAD_LINES: &[&str] = &[
    "Downloading artifacts for maker (",
    "Downloading artifacts from coordinator... ok",
    "ERROR: Downloading artifacts from coordinator... ",
    "WARNING: Retrying...",
];

const UPLOAD_LINES: &[&str] = &[
    "Uploading artifacts...",
    "Uploading artifacts to coordinator... 201 Created",
    "Uploading artifacts as \"archive\" to coordinator... 201 Created",
    "ERROR: Uploading artifacts as \"archive\" to coordinator... ",
    "ERROR: Uploading artifacts to coordinator... ",
    "WARNING: Retrying...",
    "made-by-",
    "FATAL: too large",
];

/// Checks what stands in a section.
pub(crate) fn compare(body: &[u8], expected: &Body) -> Result<(), String> {
    match expected {
        Body::Exactly(bytes) => same(body, bytes),
        Body::Stopped { before, ticks } => {
            let body = body.strip_suffix(b"Terminated\n").unwrap_or(body);
            let Some(rest) = body.strip_prefix(before.as_slice()).filter(|_| *ticks) else {
                return same(body, before);
            };
            let count = rest.iter().filter(|byte| **byte == b'\n').count();
            same(rest, &self::ticks(count))
        }
        Body::Lines(head, starts) => {
            let head = headline(head);
            let lines = body.strip_prefix(head.as_slice()).ok_or("another headline")?;
            let strange = String::from_utf8_lossy(lines)
                .lines()
                .map(bare)
                .find(|line| !starts.iter().any(|start| line.starts_with(start)));
            strange.map_or(Ok(()), |line| Err(format!("a line that nothing explains: {line:?}")))
        }
    }
}

/// Checks a trace that the server stopped taking: what it has is the beginning of what there was.
pub(crate) fn compare_cut(trace: &[u8], spec: &Spec) -> Result<(), String> {
    let Body::Stopped { before: text, .. } = spec.script() else {
        return Err("not a job that is stopped".to_owned());
    };
    let head = headline("Executing \"step_script\" stage of the job script");
    let at = crate::trace::find(trace, &head).ok_or("the script's section is missing")?;
    let found = &trace[at..];
    if crate::trace::find(found, MARK.as_bytes()).is_none() {
        return Err("what the server had seen is missing".to_owned());
    }
    let all = [text, ticks(10_000)].concat();
    same(found, &all[..found.len().min(all.len())])
}

fn ticks(count: usize) -> Vec<u8> {
    (1..=count).map(|number| format!("tick {number}\n")).collect::<String>().into_bytes()
}

/// A line without colours.
fn bare(line: &str) -> String {
    let mut text = line.to_owned();
    while let Some(at) = text.find('\x1b') {
        let end = text[at..].find(['m', 'K']).map_or(text.len(), |end| at + end + 1);
        text.replace_range(at..end, "");
    }
    text
}

/// Compares, and tells where the difference begins.
pub(crate) fn same(found: &[u8], expected: &[u8]) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    let at = found.iter().zip(expected).take_while(|(found, expected)| found == expected).count();
    let near = |bytes: &[u8]| {
        let piece = &bytes[at.saturating_sub(40).min(bytes.len())..bytes.len().min(at + 60)];
        format!("{:?}", String::from_utf8_lossy(piece))
    };
    Err(format!(
        "{} bytes where {} are expected, different from byte {at} on: {} instead of {}",
        found.len(),
        expected.len(),
        near(found),
        near(expected)
    ))
}
