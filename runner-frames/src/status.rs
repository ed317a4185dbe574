//! [`Status`]: how a stage ended.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::time::SystemTime;

use crate::layout::{from_micros, to_micros};

/// Version of the status record.
pub const STATUS_VERSION: u32 = 1;

const NAME: &str = "runner-stage-status";
const LAST: &str = "done";
/// Keeps the whole record within the room that is set aside for it.
const MAX_FAULT: usize = 1024;

/// The record of a stage's end. There is one or there is none: it is written once, after the stage and all its processes are
/// over, and appears by rename.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use runner_frames::{End, Status};
///
/// let started = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
/// let mut status = Status::new(End::Exit(3), started, started + Duration::from_secs(5));
/// status.output = 4096;
/// assert_eq!(Status::parse(status.to_text().as_bytes()), Ok(status));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// How the main process ended.
    pub end: End,
    /// What had been asked of the supervisor before that, if anything: the strongest request.
    pub stop: Option<StopKind>,
    /// When the shell was started.
    pub started: SystemTime,
    /// When the main process ended; what it left running may have taken longer.
    pub ended: SystemTime,
    /// Source offset after the last frame of the output: a reader that has come here has everything. 0 when nothing was
    /// printed.
    pub output: u64,
    /// How many processes of the stage could not be killed and are still there: usually 0.
    pub left: u32,
}

/// How the main process of a stage ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// With this exit code.
    Exit(i32),
    /// By this signal.
    Signal(i32),
    /// The stage could not be run to its own end: the shell did not start, the output could not be written. The text says
    /// why in one line. The stage has no result.
    Fault(String),
}

/// What was asked of a supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopKind {
    /// To end, with a grace.
    Terminate,
    /// To end at once.
    Kill,
}

impl Status {
    /// A record without output, request and remains.
    pub fn new(end: End, started: SystemTime, ended: SystemTime) -> Self {
        Self { end, stop: None, started, ended, output: 0, left: 0 }
    }

    /// The record as it stands in the file. Times are cut to microseconds; a fault's text is cut to one line of at most
    /// 1024 bytes.
    pub fn to_text(&self) -> String {
        let mut text = format!("{NAME} {STATUS_VERSION}\n");
        // Writing to a String cannot fail.
        let _ = match &self.end {
            End::Exit(code) => writeln!(text, "end exit {code}"),
            End::Signal(signal) => writeln!(text, "end signal {signal}"),
            End::Fault(fault) => writeln!(text, "end fault {}", one_line(fault)),
        };
        match self.stop {
            None => {}
            Some(StopKind::Terminate) => text.push_str("stop terminate\n"),
            Some(StopKind::Kill) => text.push_str("stop kill\n"),
        }
        let _ = write!(
            text,
            "started {}\nended {}\noutput {}\nleft {}\n{LAST}\n",
            to_micros(self.started),
            to_micros(self.ended),
            self.output,
            self.left
        );
        text
    }

    /// Reads a record. Lines with keys that this version does not know are skipped.
    ///
    /// # Errors
    /// When the bytes are something else, of another version, or not a whole record.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatusError> {
        let text = std::str::from_utf8(bytes).map_err(|_| StatusError::NotStatus)?;
        let mut lines = text.lines();
        let version = lines
            .next()
            .and_then(|line| line.strip_prefix(NAME)?.strip_prefix(' '))
            .ok_or(StatusError::NotStatus)?;
        match version.parse::<u32>() {
            Ok(STATUS_VERSION) => {}
            Ok(version) => return Err(StatusError::UnsupportedVersion { version }),
            Err(_) => return Err(StatusError::NotStatus),
        }
        let body = text
            .strip_suffix('\n')
            .and_then(|text| text.strip_suffix(LAST))
            .ok_or(StatusError::Incomplete)?;
        let mut fields = Fields::default();
        for line in body.lines().skip(1) {
            fields.take(line)?;
        }
        fields.finish()
    }
}

#[derive(Default)]
struct Fields {
    end: Option<End>,
    stop: Option<StopKind>,
    started: Option<u64>,
    ended: Option<u64>,
    output: Option<u64>,
    left: Option<u32>,
}

impl Fields {
    fn take(&mut self, line: &str) -> Result<(), StatusError> {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        match key {
            "end" => set(&mut self.end, parse_end(value), "end"),
            "stop" => set(&mut self.stop, parse_stop(value), "stop"),
            "started" => set(&mut self.started, value.parse().ok(), "started"),
            "ended" => set(&mut self.ended, value.parse().ok(), "ended"),
            "output" => set(&mut self.output, value.parse().ok(), "output"),
            "left" => set(&mut self.left, value.parse().ok(), "left"),
            _ => Ok(()),
        }
    }

    fn finish(self) -> Result<Status, StatusError> {
        let missing = |key| StatusError::Invalid { key };
        Ok(Status {
            end: self.end.ok_or(missing("end"))?,
            stop: self.stop,
            started: from_micros(self.started.ok_or(missing("started"))?),
            ended: from_micros(self.ended.ok_or(missing("ended"))?),
            output: self.output.ok_or(missing("output"))?,
            left: self.left.unwrap_or(0),
        })
    }
}

/// Fills a field once: a second line with the same key means that this is no record of ours.
fn set<T>(field: &mut Option<T>, value: Option<T>, key: &'static str) -> Result<(), StatusError> {
    if field.is_some() || value.is_none() {
        return Err(StatusError::Invalid { key });
    }
    *field = value;
    Ok(())
}

fn parse_end(value: &str) -> Option<End> {
    match value.split_once(' ')? {
        ("exit", code) => code.parse().ok().map(End::Exit),
        ("signal", signal) => signal.parse().ok().map(End::Signal),
        ("fault", text) => Some(End::Fault(text.to_owned())),
        _ => None,
    }
}

fn parse_stop(value: &str) -> Option<StopKind> {
    match value {
        "terminate" => Some(StopKind::Terminate),
        "kill" => Some(StopKind::Kill),
        _ => None,
    }
}

fn one_line(text: &str) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut cut = line.len().min(MAX_FAULT);
    while !line.is_char_boundary(cut) {
        cut -= 1;
    }
    line.truncate(cut);
    line
}

/// Why bytes are not a status record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatusError {
    /// They are something else.
    NotStatus,
    /// The record is of a version that this program does not read. Nothing is wrong with it.
    UnsupportedVersion {
        /// What the record says.
        version: u32,
    },
    /// The record has no end. It appears by rename, so this is a copy that was cut.
    Incomplete,
    /// This line is missing, there twice, or does not say what it should.
    Invalid {
        /// First word of the line.
        key: &'static str,
    },
}

impl fmt::Display for StatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StatusError::NotStatus => f.write_str("not the status of a stage"),
            StatusError::UnsupportedVersion { version } => {
                write!(f, "status record of version {version}; this program reads version {STATUS_VERSION}")
            }
            StatusError::Incomplete => f.write_str("status record without an end"),
            StatusError::Invalid { key } => write!(f, "status record without a usable line `{key}`"),
        }
    }
}

impl Error for StatusError {}
