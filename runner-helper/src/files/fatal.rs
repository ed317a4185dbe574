//! What ends a command.

use std::error::Error;

/// What ends a command with exit code 1.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fatal {
    #[error("missing runner credentials: pass --url and --token")]
    MissingCredentials,
    #[error("missing job id: pass --id with a number above 0")]
    MissingId,
    #[error("not supported: {0}")]
    NotSupported(String),
    #[error("permission denied")]
    PermissionDenied,
    #[error("too large")]
    TooLarge,
    #[error("file does not exist")]
    NotFound,
    #[error("{what}: {}", causes(&**source))]
    Failed {
        what: String,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl Fatal {
    pub(crate) fn failed(what: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed { what: what.into(), source: source.into() }
    }
}

/// An error with its causes in one line.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Some libraries repeat the cause in their own text.
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
