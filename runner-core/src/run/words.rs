//! What the runner itself says in a job's log.

use std::sync::Arc;

use super::report::Failure;
use crate::executor::{Notice, NoticeLevel};
use crate::log::{JobLog, LineKind, LogError};
use crate::time::Clock;

/// Writes the runner's own lines and sections into a job's log.
#[derive(Debug, Clone)]
pub(super) struct Words {
    log: JobLog,
    clock: Arc<dyn Clock>,
}

impl Words {
    pub(super) fn new(log: JobLog, clock: Arc<dyn Clock>) -> Self {
        Self { log, clock }
    }

    pub(super) async fn plain(&self, text: &str) -> Result<(), LogError> {
        self.log.line(LineKind::Plain, text).await
    }

    pub(super) async fn info(&self, text: &str) -> Result<(), LogError> {
        self.log.line(LineKind::Info, text).await
    }

    pub(super) async fn warning(&self, text: &str) -> Result<(), LogError> {
        self.log.line(LineKind::Warning, text).await
    }

    pub(super) async fn error(&self, text: &str) -> Result<(), LogError> {
        self.log.line(LineKind::Error, text).await
    }

    /// The last line of a job that failed, or did not; it is taken even when the log cannot be kept any more.
    pub(super) async fn last(&self, failure: Option<&Failure>) -> Result<(), LogError> {
        match failure {
            None => self.log.last_line(LineKind::Info, "Job succeeded").await,
            Some(failure) => self.log.last_line(LineKind::Error, failure.to_string()).await,
        }
    }

    /// Opens a stage's section and says what it is about.
    pub(super) async fn open(&self, section: &str, headline: &str) -> Result<(), LogError> {
        self.log.section_start(section, self.clock.now()).await?;
        self.log.line(LineKind::Headline, headline).await
    }

    /// Closes a stage's section.
    pub(super) async fn close(&self, section: &str) -> Result<(), LogError> {
        self.log.section_end(section, self.clock.now()).await
    }

    pub(super) async fn notice(&self, notice: &Notice) -> Result<(), LogError> {
        match notice.level {
            NoticeLevel::Plain => self.plain(&notice.text).await,
            NoticeLevel::Info => self.info(&notice.text).await,
            NoticeLevel::Warning => self.warning(&notice.text).await,
            NoticeLevel::Error => self.error(&notice.text).await,
        }
    }
}
