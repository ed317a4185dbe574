//! What the runner itself says in a job's log.
//!
//! Everything that is said has a name, which the log remembers with its checkpoint: a job that goes on after a restart says all of
//! it again, and only what was never said gets into the log. So a name must stand for the same words in every life of a job.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::executor::{Notice, NoticeLevel};
use crate::log::{Entry, JobLog, LineKind, LogError};

/// Writes the runner's own lines and sections into a job's log. Clones count together.
#[derive(Debug, Clone)]
pub(super) struct Words {
    log: JobLog,
    scope: String,
    names: Names,
}

/// How lines are told apart within a scope.
#[derive(Debug, Clone)]
enum Names {
    /// By their number: the same lines are said in the same order in every life.
    Numbered(Arc<Mutex<u32>>),
    /// By what they say, and how often it was said before: another life may say other things.
    Said(Arc<Mutex<HashMap<u32, u32>>>),
}

impl Words {
    /// Words of a part of the run in which every life says the same.
    pub(super) fn new(log: &JobLog, scope: impl Into<String>) -> Self {
        Self { log: log.clone(), scope: scope.into(), names: Names::Numbered(Arc::default()) }
    }

    /// Words of a part of the run that may go another way the next time.
    pub(super) fn unsteady(log: &JobLog, scope: impl Into<String>) -> Self {
        Self { log: log.clone(), scope: scope.into(), names: Names::Said(Arc::default()) }
    }

    pub(super) async fn plain(&self, text: &str) -> Result<(), LogError> {
        self.say(LineKind::Plain, text).await
    }

    pub(super) async fn info(&self, text: &str) -> Result<(), LogError> {
        self.say(LineKind::Info, text).await
    }

    pub(super) async fn warning(&self, text: &str) -> Result<(), LogError> {
        self.say(LineKind::Warning, text).await
    }

    pub(super) async fn error(&self, text: &str) -> Result<(), LogError> {
        self.say(LineKind::Error, text).await
    }

    /// Opens a stage's section and says what it is about.
    pub(super) async fn open(&self, section: &str, headline: &str) -> Result<(), LogError> {
        let headline = Entry::Line(LineKind::Headline, headline.to_owned());
        let entries = vec![Entry::SectionStart(section.to_owned()), headline];
        self.log.once(&format!("{} open", self.scope), entries).await
    }

    /// Closes a stage's section.
    pub(super) async fn close(&self, section: &str) -> Result<(), LogError> {
        let entries = vec![Entry::SectionEnd(section.to_owned())];
        self.log.once(&format!("{} close", self.scope), entries).await
    }

    pub(super) async fn notice(&self, notice: &Notice) -> Result<(), LogError> {
        match notice.level {
            NoticeLevel::Plain => self.plain(&notice.text).await,
            NoticeLevel::Info => self.info(&notice.text).await,
            NoticeLevel::Warning => self.warning(&notice.text).await,
            NoticeLevel::Error => self.error(&notice.text).await,
        }
    }

    async fn say(&self, kind: LineKind, text: &str) -> Result<(), LogError> {
        let name = self.name(kind, text);
        self.log.once(&name, vec![Entry::Line(kind, text.to_owned())]).await
    }

    fn name(&self, kind: LineKind, text: &str) -> String {
        match &self.names {
            Names::Numbered(count) => format!("{} {}", self.scope, next(&mut lock(count))),
            Names::Said(counts) => {
                let said = crc32fast::hash(format!("{kind:?} {text}").as_bytes());
                let number = next(lock(counts).entry(said).or_default());
                format!("{} {said:08x} {number}", self.scope)
            }
        }
    }
}

fn next(count: &mut u32) -> u32 {
    *count += 1;
    *count
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
