//! [`Request`]: what a manager may ask of a running supervisor.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A line in the supervisor's control pipe. Shorter than `PIPE_BUF`, so one write never mixes with another's.
///
/// ```
/// use std::time::Duration;
/// use runner_frames::Request;
///
/// let request = Request::Terminate { grace: Duration::from_secs(30) };
/// assert_eq!(request.to_string(), "terminate 30000");
/// assert_eq!("kill".parse(), Ok(Request::Kill));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Ask all processes of the stage to end (SIGTERM) and kill what is left after the grace, a whole number of
    /// milliseconds. A second request can shorten the time that is left, never lengthen it.
    Terminate {
        /// Time between asking and killing.
        grace: Duration,
    },
    /// Kill all processes of the stage now.
    Kill,
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Request::Terminate { grace } => write!(f, "terminate {}", grace.as_millis()),
            Request::Kill => f.write_str("kill"),
        }
    }
}

impl FromStr for Request {
    type Err = InvalidRequest;

    fn from_str(line: &str) -> Result<Self, InvalidRequest> {
        let mut words = line.split_ascii_whitespace();
        let request = match (words.next(), words.next()) {
            (Some("kill"), None) => Request::Kill,
            (Some("terminate"), Some(millis)) => Request::Terminate {
                grace: Duration::from_millis(millis.parse().map_err(|_| InvalidRequest)?),
            },
            _ => return Err(InvalidRequest),
        };
        if words.next().is_some() { Err(InvalidRequest) } else { Ok(request) }
    }
}

/// A line that is no [`Request`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidRequest;

impl fmt::Display for InvalidRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a request: expected `terminate MILLISECONDS` or `kill`")
    }
}

impl Error for InvalidRequest {}
