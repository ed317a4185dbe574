//! Waits for files to change, on a thread of its own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind, RemoveKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::watch;

use super::change::Change;
use super::folders;
use super::mark::{Mark, Marker};
use crate::exec::ExecError;
use crate::exec::git::Git;

/// How events become a burst.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// A burst is over when nothing has happened for so long.
    pub(super) quiet: Duration,
    /// A burst that does not end is looked at after this time.
    pub(super) longest: Duration,
}

/// Tells what has changed since the last run began.
#[derive(Debug)]
pub(super) struct Watcher {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    marker: Marker,
    /// What the last run was for. Held while it is compared with what is there.
    mark: Mutex<Option<Mark>>,
    change: watch::Sender<Option<Change>>,
}

/// What an event says.
#[derive(Debug)]
struct Notice {
    paths: Vec<PathBuf>,
    /// Folders may have come or gone.
    folders: bool,
    /// Other notices were lost.
    lost: bool,
}

impl Watcher {
    /// Begins to watch. Ends with the process: there is one in its life.
    pub(super) fn start(marker: Marker, patience: Patience) -> Result<Self, ExecError> {
        let shared = Arc::new(Shared { marker, mark: Mutex::default(), change: watch::Sender::default() });
        let (sender, notices) = channel();
        let handler = move |event: notify::Result<notify::Event>| {
            if let Some(notice) = notice(event) {
                // Nobody listens any more: the thread has ended, and the process will.
                let _ = sender.send(notice);
            }
        };
        let native = notify::recommended_watcher(handler).map_err(|error| failed(&error))?;
        let mut eyes = Eyes { native, watched: BTreeSet::new(), heads: shared.marker.heads() };
        eyes.look(&shared.marker).map_err(|error| failed(&error))?;
        let of_thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("watch".to_owned())
            .spawn(move || of_thread.follow(&notices, &mut eyes, patience))
            .map_err(|source| ExecError::System { what: "cannot start a thread", source })?;
        Ok(Self { shared })
    }

    /// A run begins: what is there now is what it is for. What changes from now on is told.
    pub(super) fn begin(&self) -> watch::Receiver<Option<Change>> {
        let mut mark = self.shared.mark();
        // When files come and go at this very moment, everything that comes later counts as a change.
        *mark = self.shared.marker.mark().ok();
        self.shared.change.send_replace(None);
        self.shared.change.subscribe()
    }
}

impl Shared {
    fn mark(&self) -> std::sync::MutexGuard<'_, Option<Mark>> {
        self.mark.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until nobody sends notices any more.
    fn follow(&self, notices: &Receiver<Notice>, eyes: &mut Eyes, patience: Patience) {
        let mut again = None;
        while let Some(burst) = burst(notices, patience, again.take()) {
            if burst.folders
                && let Err(error) = eyes.look(&self.marker)
            {
                tracing::warn!("not all folders are watched: {error}");
            }
            if !burst.always && !self.matters(&burst.paths, &eyes.heads) {
                continue;
            }
            let before = self.mark();
            match self.marker.mark() {
                Ok(now) => {
                    let change = match &*before {
                        Some(before) => self.marker.change(before, &now),
                        None => Some(Change { files: Vec::new(), head: Some("files".to_owned()) }),
                    };
                    // Changed and changed back is no change.
                    self.change.send_if_modified(|known| {
                        let differs = *known != change;
                        *known = change;
                        differs
                    });
                }
                Err(error) => {
                    tracing::debug!("the tree cannot be looked at just now: {error}");
                    again = Some(patience.longest);
                }
            }
        }
    }

    /// Whether any of the paths could be part of a run: not ignored, not git's own, not what `exec` writes.
    fn matters(&self, paths: &BTreeSet<PathBuf>, heads: &[PathBuf]) -> bool {
        let root = self.marker.root();
        let mut inside = Vec::new();
        for path in paths {
            if heads.contains(path) || self.marker.beside().contains(path) {
                return true;
            }
            match path.strip_prefix(root) {
                Ok(relative) if !is_of_git(relative) && !self.marker.is_own(path) => {
                    inside.push(path.clone());
                }
                _ => {}
            }
        }
        folders::ignored(&Git::new(root), root, &inside).len() < inside.len()
    }
}

/// Which folders are looked at.
#[derive(Debug)]
struct Eyes {
    native: RecommendedWatcher,
    watched: BTreeSet<PathBuf>,
    /// Git's files that change with what is checked out.
    heads: Vec<PathBuf>,
}

impl Eyes {
    /// Watches the folders that are there now.
    fn look(&mut self, marker: &Marker) -> Result<(), notify::Error> {
        let mut wanted =
            folders::of_tree(marker.root()).map_err(|error| notify::Error::generic(&error.to_string()))?;
        let around = self.heads.iter().chain(marker.beside()).filter_map(|path| path.parent());
        wanted.extend(around.filter(|folder| folder.is_dir()).map(Path::to_owned));
        wanted.retain(|folder| !marker.is_own(folder));
        for gone in self.watched.difference(&wanted) {
            // It is gone from the system's list already when the folder is gone.
            let _ = self.native.unwatch(gone);
        }
        self.watched.retain(|folder| wanted.contains(folder));
        for folder in wanted {
            if self.watched.contains(&folder) {
                continue;
            }
            match self.native.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.watched.insert(folder)),
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Events of one burst together.
#[derive(Debug, Default)]
struct Burst {
    paths: BTreeSet<PathBuf>,
    folders: bool,
    /// The tree is to be looked at whatever the paths are.
    always: bool,
}

/// Waits for a first notice (not longer than `retry`), then until no more come; `None` when none will come any more.
fn burst(notices: &Receiver<Notice>, patience: Patience, retry: Option<Duration>) -> Option<Burst> {
    let mut burst = Burst { always: retry.is_some(), ..Burst::default() };
    let first = match retry {
        None => notices.recv().map_err(|_| RecvTimeoutError::Disconnected),
        Some(retry) => notices.recv_timeout(retry),
    };
    match first {
        Ok(notice) => burst.add(notice),
        Err(RecvTimeoutError::Timeout) => return Some(burst),
        Err(RecvTimeoutError::Disconnected) => return None,
    }
    let begun = Instant::now();
    while begun.elapsed() < patience.longest {
        match notices.recv_timeout(patience.quiet) {
            Ok(notice) => burst.add(notice),
            Err(_) => break,
        }
    }
    Some(burst)
}

impl Burst {
    fn add(&mut self, notice: Notice) {
        self.paths.extend(notice.paths);
        self.folders |= notice.folders;
        self.always |= notice.lost;
    }
}

/// What an event says; `None` when it says nothing: somebody has only looked at a file.
fn notice(event: notify::Result<notify::Event>) -> Option<Notice> {
    let event = match event {
        Ok(event) => event,
        Err(error) => {
            tracing::debug!("a notice of files was lost: {error}");
            return Some(Notice { paths: error.paths, folders: true, lost: true });
        }
    };
    let folders = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
        EventKind::Access(_) => return None,
        EventKind::Create(CreateKind::File) | EventKind::Remove(RemoveKind::File) => false,
        EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_)) => false,
        // Everything else may be about a folder.
        _ => true,
    };
    let rules = event.paths.iter().any(|path| path.file_name().is_some_and(|name| name == ".gitignore"));
    let lost = event.need_rescan();
    Some(Notice { paths: event.paths, folders: folders || rules || lost, lost })
}

fn is_of_git(relative: &Path) -> bool {
    relative.components().any(|part| part.as_os_str() == ".git")
}

fn is_gone(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

fn failed(error: &notify::Error) -> ExecError {
    let hint = match error.kind {
        notify::ErrorKind::MaxFilesWatch => {
            "\nhint: the system lets a user watch only so many folders; raise fs.inotify.max_user_watches"
        }
        _ => "",
    };
    ExecError::Runner(format!("cannot watch the files: {error}{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { quiet: Duration::ZERO, longest: Duration::from_secs(60) };

    fn event(kind: EventKind, path: &str) -> notify::Result<notify::Event> {
        Ok(notify::Event::new(kind).add_path(PathBuf::from(path)))
    }

    #[test]
    fn looking_at_a_file_is_nothing() {
        let reading = EventKind::Access(AccessKind::Close(AccessMode::Read));
        assert!(notice(event(reading, "/a")).is_none());
        assert!(notice(event(EventKind::Access(AccessKind::Open(AccessMode::Any)), "/a")).is_none());
        let writing = EventKind::Access(AccessKind::Close(AccessMode::Write));
        assert!(!notice(event(writing, "/a")).unwrap().folders);
        assert!(notice(event(writing, "/x/.gitignore")).unwrap().folders);
        assert!(notice(event(EventKind::Create(CreateKind::Folder), "/a")).unwrap().folders);
    }

    #[test]
    fn events_are_taken_together() {
        let (sender, notices) = channel();
        for (path, folders) in [("/a", false), ("/b", true), ("/a", false)] {
            sender.send(Notice { paths: vec![PathBuf::from(path)], folders, lost: false }).unwrap();
        }
        let all = burst(&notices, PATIENCE, None).unwrap();
        assert_eq!(all.paths.len(), 2);
        assert!(all.folders && !all.always);
        assert!(burst(&notices, PATIENCE, Some(Duration::ZERO)).unwrap().always);
        drop(sender);
        assert!(burst(&notices, PATIENCE, None).is_none());
    }
}
