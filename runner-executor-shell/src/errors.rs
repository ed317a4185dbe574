//! Words for what goes wrong on this machine.

use std::fmt;
use std::io;
use std::path::Path;

use runner_core::executor::{Cause, EnvironmentError};

/// `cannot WHAT PATH: ERROR`.
pub(crate) fn system(what: &str, path: &Path, error: io::Error) -> EnvironmentError {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => Some("give the runner's user access to it"),
        io::ErrorKind::StorageFull => Some("free some space on that disk"),
        _ => None,
    };
    let error =
        EnvironmentError::new(Cause::System, format!("cannot {what} {}", path.display())).source(error);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// A stage whose end nobody will ever know.
pub(crate) fn lost(stage: &dyn fmt::Display, why: impl fmt::Display) -> EnvironmentError {
    EnvironmentError::new(Cause::System, format!("stage {stage} has no result: {why}")).retriable(false)
}

/// Runs file operations where they may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EnvironmentError> + Send + 'static,
) -> Result<T, EnvironmentError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => {
            Err(EnvironmentError::new(Cause::System, "a file operation did not finish").source(error))
        }
    }
}
