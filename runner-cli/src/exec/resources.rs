//! Resource groups: one job at a time, whichever pipeline it belongs to, and whichever run of the project.
//!
//! Within a run a table decides, between runs the lock of a file in the project's state folder. A lock that another run
//! holds is waited for on a thread, which hands it over.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::state;

/// Who holds which group.
#[derive(Debug)]
pub(super) struct Resources {
    folder: PathBuf,
    held: HashMap<String, (File, String)>,
    /// Locks that came from a thread and are for whoever asks next.
    free: HashMap<String, File>,
    /// Groups for which a thread waits.
    awaited: HashSet<String>,
    /// What was said already.
    said: HashSet<(String, String)>,
    news: Vec<String>,
    /// Whether a group became free.
    pub(super) released: bool,
    sender: mpsc::UnboundedSender<(String, File)>,
    receiver: mpsc::UnboundedReceiver<(String, File)>,
}

impl Resources {
    /// For the project whose state folder this is.
    pub(super) fn new(project: &Path) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self {
            folder: project.join("resources"),
            held: HashMap::new(),
            free: HashMap::new(),
            awaited: HashSet::new(),
            said: HashSet::new(),
            news: Vec::new(),
            released: false,
            sender,
            receiver,
        }
    }

    /// Takes a group for a job, if nobody has it.
    pub(super) fn take(&mut self, group: &str, job: &str) -> bool {
        if let Some((_, holder)) = self.held.get(group) {
            let news = format!("{job} waits for resource group {group}, which {holder} has");
            self.say(group, job, news);
            return false;
        }
        let lock = match self.free.remove(group) {
            Some(lock) => Some(lock),
            None => self.lock(group).unwrap_or_else(|error| {
                // Better two at a time than none.
                tracing::warn!("resource group {group} holds within this run only: {error}");
                tempfile::tempfile().ok()
            }),
        };
        let Some(lock) = lock else {
            self.say(group, job, format!("{job} waits for resource group {group}, which another run has"));
            return false;
        };
        self.held.insert(group.to_owned(), (lock, job.to_owned()));
        true
    }

    /// Gives a group back.
    pub(super) fn release(&mut self, group: &str) {
        self.released |= self.held.remove(group).is_some();
    }

    /// Waits until another run has given back a group that was asked for.
    ///
    /// # Cancel safety
    /// A dropped call loses nothing.
    pub(super) async fn freed(&mut self) {
        // It holds a sender itself, so this does not end.
        if let Some((group, lock)) = self.receiver.recv().await {
            self.awaited.remove(&group);
            self.free.insert(group, lock);
        }
    }

    /// What the user should know now.
    pub(super) fn take_news(&mut self) -> Vec<String> {
        std::mem::take(&mut self.news)
    }

    fn say(&mut self, group: &str, job: &str, news: String) {
        if self.said.insert((group.to_owned(), job.to_owned())) {
            self.news.push(news);
        }
    }

    /// The lock, or `None` when another run has it; then a thread waits for it.
    fn lock(&mut self, group: &str) -> io::Result<Option<File>> {
        if self.awaited.contains(group) {
            return Ok(None);
        }
        state::make(&self.folder)?;
        let name: String =
            Sha256::digest(group.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let path = self.folder.join(name);
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => {
                let (sender, group) = (self.sender.clone(), group.to_owned());
                self.awaited.insert(group.clone());
                // It cannot be called off, but gives the lock back at once when nobody wants it any more.
                std::thread::Builder::new().name("resource".to_owned()).spawn(move || {
                    if file.lock().is_ok() {
                        let _ = sender.send((group, file));
                    }
                })?;
                Ok(None)
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Resources;

    #[tokio::test]
    async fn one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let mut one = Resources::new(folder.path());
        let mut other = Resources::new(folder.path());
        assert!(one.take("prod", "deploy") && one.take("test", "try"));
        assert!(!one.take("prod", "child/deploy"));
        assert!(!other.take("prod", "deploy"));
        assert_eq!(one.take_news(), ["child/deploy waits for resource group prod, which deploy has"]);
        assert_eq!(other.take_news(), ["deploy waits for resource group prod, which another run has"]);
        one.release("prod");
        assert!(one.released);
        other.freed().await;
        assert!(other.take("prod", "deploy") && !one.take("prod", "again"));
        assert_eq!(other.take_news(), Vec::<String>::new());
    }
}
