//! From what a job prints to the bytes of its log: a pure function.
//!
//! ```text
//! stdout ─► mask ─► UTF-8 ─┐                 ┌─ timestamps on:  header per line, per stream ─┐
//! stderr ─► mask ─► UTF-8 ─┴─► output limit ─┴─ timestamps off: mask once more, both as one ─┴─► log
//! the runner's own lines ─► mask ─► colours ─────────────────────────────────────────────────────┘
//! ```
//!
//! Each stream is masked on its own, because the other one may print in between. Without timestamps the reader cannot tell
//! them apart, so a value that only comes about where they meet is looked for as well.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::joint::{Joint, JointState};
use super::limit::OutputLimit;
use super::masker::{MaskRules, Masker, MaskerState};
use super::style::{self, LineKind};
use super::timestamp::Stamper;
use super::utf8::Utf8Repair;
use crate::executor::OutputStream;

/// How a job's log is made. The same for the whole job, also after a restart.
#[derive(Debug, Clone)]
pub struct FilterSettings {
    /// What the log must not show.
    pub rules: MaskRules,
    /// Bytes of its own output that the job may print.
    pub output_limit: u64,
    /// Whether each line gets a header with time and stream (`FF_TIMESTAMPS`).
    pub timestamps: bool,
    /// Whether section markers are written (the payload's `features.trace_sections`).
    pub sections: bool,
}

/// Makes the log of one job.
///
/// ```
/// use std::time::SystemTime;
/// use runner_core::executor::OutputStream;
/// use runner_core::log::{Filter, FilterSettings, LineKind, MaskRules};
///
/// let rules = MaskRules::new(["hunter2"], [], true);
/// let mut filter = Filter::new(FilterSettings { rules, output_limit: 1024, timestamps: false, sections: true });
/// let (mut log, now) = (Vec::new(), SystemTime::UNIX_EPOCH);
/// filter.line(LineKind::Info, "$ echo $PASSWORD", now, &mut log);
/// for piece in ["hun", "ter2\n"] {
///     filter.push(OutputStream::Stdout, now, piece.as_bytes(), &mut log);
///     filter.end_frame(OutputStream::Stdout, &mut log);
/// }
/// assert_eq!(log, b"\x1b[32;1m$ echo $PASSWORD\x1b[0;m\n[MASKED]\n");
/// ```
pub struct Filter {
    /// With what was added to the rules since.
    settings: FilterSettings,
    /// What was added to the rules since.
    added: Vec<String>,
    stdout: Stream,
    stderr: Stream,
    tail: Tail,
}

/// Where a [`Filter`] stands; may hold the beginning of a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterState {
    /// Values that are masked besides those of the settings.
    #[serde(default)]
    added: Vec<String>,
    stdout: StreamState,
    stderr: StreamState,
    joint: JointState,
    runner_continues: bool,
    used: u64,
    limit_reached: bool,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StreamState {
    masker: MaskerState,
    utf8: Vec<u8>,
    continues: bool,
    last: SystemTime,
}

/// What a stream of the job has of its own.
struct Stream {
    masker: Masker,
    utf8: Utf8Repair,
    stamper: Stamper,
    /// When its last text was printed: text that was held back gets the same time.
    last: SystemTime,
}

/// What the streams share.
struct Tail {
    limit: OutputLimit,
    joint: Joint,
    runner: Stamper,
    timestamps: bool,
}

impl Filter {
    /// At the beginning of a job.
    pub fn new(settings: FilterSettings) -> Self {
        let stream = StreamState {
            masker: MaskerState::default(),
            utf8: Vec::new(),
            continues: false,
            last: UNIX_EPOCH,
        };
        let start = FilterState {
            added: Vec::new(),
            stdout: stream.clone(),
            stderr: stream,
            joint: JointState::default(),
            runner_continues: false,
            used: 0,
            limit_reached: false,
        };
        Self::restore(settings, start)
    }

    /// Goes on where [`state`](Self::state) was taken by a filter with the same settings.
    pub fn restore(mut settings: FilterSettings, state: FilterState) -> Self {
        if !state.added.is_empty() {
            settings.rules = settings.rules.with(state.added.iter().map(String::as_str));
        }
        Self {
            added: state.added,
            stdout: Stream::restore(&settings.rules, *b"01O", state.stdout),
            stderr: Stream::restore(&settings.rules, *b"01E", state.stderr),
            tail: Tail {
                limit: OutputLimit::new(settings.output_limit, state.used, state.limit_reached),
                joint: Joint::restore(&settings.rules, state.joint),
                runner: Stamper::new(*b"00O", state.runner_continues),
                timestamps: settings.timestamps,
            },
            settings,
        }
    }

    /// What [`restore`](Self::restore) needs. Only between frames: after [`end_frame`](Self::end_frame), not after a mere
    /// [`push`](Self::push).
    pub fn state(&self) -> FilterState {
        FilterState {
            added: self.added.clone(),
            stdout: self.stdout.state(),
            stderr: self.stderr.state(),
            joint: self.tail.joint.state(),
            runner_continues: self.tail.runner.continues(),
            used: self.tail.limit.used(),
            limit_reached: self.tail.limit.is_reached(),
        }
    }

    /// Text that a stage printed at `time`, whole or in parts that follow each other; then
    /// [`end_frame`](Self::end_frame). The bytes for the log are appended to `log`.
    pub fn push(&mut self, stream: OutputStream, time: SystemTime, text: &[u8], log: &mut Vec<u8>) {
        if self.tail.limit.is_reached() {
            return;
        }
        let Self { stdout, stderr, tail, .. } = self;
        let Stream { masker, utf8, stamper, last } = match stream {
            OutputStream::Stdout => stdout,
            OutputStream::Stderr => stderr,
        };
        *last = time.max(UNIX_EPOCH);
        masker
            .push(text, &mut |text| utf8.push(text, &mut |text| tail.job(stream, stamper, *last, text, log)));
    }

    /// The frame ends here.
    pub fn end_frame(&mut self, stream: OutputStream, log: &mut Vec<u8>) {
        match stream {
            OutputStream::Stdout => self.stdout.stamper.end_piece(log),
            OutputStream::Stderr => self.stderr.stamper.end_piece(log),
        }
    }

    /// A stage ends here: what was held back of its output is let out, and its last line ends.
    pub fn flush(&mut self, log: &mut Vec<u8>) {
        let Self { stdout, stderr, tail, .. } = self;
        for (stream, own) in [(OutputStream::Stdout, stdout), (OutputStream::Stderr, stderr)] {
            let Stream { masker, utf8, stamper, last } = own;
            masker
                .flush(&mut |text| utf8.push(text, &mut |text| tail.job(stream, stamper, *last, text, log)));
            utf8.flush(&mut |text| tail.job(stream, stamper, *last, text, log));
            stamper.end_line(log);
        }
        tail.joint.cut();
    }

    /// The log ends here.
    pub fn finish(&mut self, log: &mut Vec<u8>) {
        self.flush(log);
        self.tail.joint.flush(&mut |text| log.extend_from_slice(text));
    }

    /// From here on `values` are masked, too. What was held back is let out first: no value reaches over this point. Does
    /// nothing when all of them are masked already.
    pub fn mask_also<'a>(&mut self, values: impl IntoIterator<Item = &'a str>, log: &mut Vec<u8>) {
        let unknown = values.into_iter().filter(|value| !self.settings.rules.has(value));
        let unknown: Vec<String> = unknown.map(str::to_owned).collect();
        if unknown.is_empty() {
            return;
        }
        self.finish(log);
        self.added.extend(unknown);
        *self = Self::restore(self.settings.clone(), self.state());
    }

    /// A line that the runner writes. It is masked as a whole and does not count towards the output limit.
    pub fn line(&mut self, kind: LineKind, text: &str, time: SystemTime, log: &mut Vec<u8>) {
        let masked = self.settings.rules.apply(text.as_bytes());
        self.tail.runner(time, &style::line(kind, &masked), log);
    }

    /// The marker that begins a section, if the server wants sections.
    pub fn section_start(&mut self, name: &str, time: SystemTime, log: &mut Vec<u8>) {
        if self.settings.sections {
            self.tail.runner(time, style::section_start(time, name).as_bytes(), log);
        }
    }

    /// The marker that ends a section, if the server wants sections.
    pub fn section_end(&mut self, name: &str, time: SystemTime, log: &mut Vec<u8>) {
        if self.settings.sections {
            self.tail.runner(time, style::section_end(time, name).as_bytes(), log);
        }
    }
}

impl Stream {
    fn restore(rules: &MaskRules, name: [u8; 3], state: StreamState) -> Self {
        Self {
            masker: Masker::restore(rules, state.masker),
            utf8: Utf8Repair::restore(state.utf8),
            stamper: Stamper::new(name, state.continues),
            last: state.last,
        }
    }

    fn state(&self) -> StreamState {
        StreamState {
            masker: self.masker.state(),
            utf8: self.utf8.state(),
            continues: self.stamper.continues(),
            last: self.last,
        }
    }
}

impl Tail {
    /// Masked and valid text of a stage.
    fn job(
        &mut self,
        stream: OutputStream,
        stamper: &mut Stamper,
        time: SystemTime,
        text: &[u8],
        log: &mut Vec<u8>,
    ) {
        let admitted = self.limit.admit(text);
        let notice = admitted.last.then(|| self.limit.notice());
        for text in [admitted.text, notice.as_deref().unwrap_or_default().as_bytes()] {
            if self.timestamps {
                stamper.push(time, text, log);
            } else {
                self.joint.push(stream, text, &mut |text| log.extend_from_slice(text));
            }
        }
    }

    /// Finished bytes of the runner's own. They end what the job printed before: no value reaches across them.
    fn runner(&mut self, time: SystemTime, bytes: &[u8], log: &mut Vec<u8>) {
        if self.timestamps {
            self.runner.push(time, bytes, log);
            self.runner.end_piece(log);
        } else {
            self.joint.flush(&mut |text| log.extend_from_slice(text));
            log.extend_from_slice(bytes);
        }
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl fmt::Debug for FilterState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilterState").field("used", &self.used).finish_non_exhaustive()
    }
}
