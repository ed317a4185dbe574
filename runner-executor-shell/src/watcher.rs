//! [`Watcher`]: tells readers that something happened in a folder.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures_util::StreamExt as _;
use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask, Watches};
use runner_frames::folder;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// Room for a few hundred events of short names.
const BUFFER: usize = 16 * 1024;

/// One inotify instance for all stages of a provider: the number of instances per user is small.
#[derive(Debug, Default)]
pub(crate) struct Watcher {
    running: Mutex<Option<Running>>,
    table: Arc<Table>,
}

/// Who wants to know of which folder.
type Table = Mutex<HashMap<WatchDescriptor, Vec<Weak<Bell>>>>;

/// Rings for one reader.
#[derive(Debug, Default)]
struct Bell {
    notify: Notify,
    /// Something may have happened to the stage itself since the reader asked the last time.
    stage: AtomicBool,
}

/// What happened in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    Nothing,
    /// There is more output.
    Output,
    /// The stage has ended, its supervisor has, or nobody knows.
    Stage,
}

impl News {
    /// Output that grows, a status that appears, a supervisor that lets go of its files: nothing else is news. Looking whether it lives
    /// opens and closes its control pipe, and would never end if that were.
    fn of(name: Option<&OsStr>, mask: EventMask) -> Self {
        let Some(name) = name else { return Self::Stage };
        let is_beginning = mask.intersects(EventMask::CREATE | EventMask::MODIFY);
        match name.to_str() {
            Some(folder::OUTPUT) if is_beginning => Self::Output,
            Some(folder::LOCK) if is_beginning => Self::Nothing,
            Some(folder::OUTPUT | folder::STATUS | folder::LOCK) => Self::Stage,
            _ => Self::Nothing,
        }
    }
}

struct Running {
    watches: Watches,
    task: AbortHandle,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").finish_non_exhaustive()
    }
}

impl Watcher {
    /// Watches a folder as long as the answer lives. Call it, then look, then wait: what happens between looking and waiting
    /// is not missed.
    pub(crate) fn watch(&self, folder: &Path) -> io::Result<Watch> {
        let mut watches = self.watches()?;
        let mask = WatchMask::MODIFY
            | WatchMask::CLOSE_WRITE
            | WatchMask::CREATE
            | WatchMask::MOVED_TO
            | WatchMask::DELETE
            | WatchMask::DELETE_SELF
            | WatchMask::MOVE_SELF
            | WatchMask::ONLYDIR;
        let bell = Arc::new(Bell::default());
        let mut table = lock(&self.table);
        // Under the lock, so that the end of another watch of the same folder cannot take this one away.
        let descriptor = watches.add(folder, mask)?;
        table.entry(descriptor.clone()).or_default().push(Arc::downgrade(&bell));
        drop(table);
        Ok(Watch { bell, descriptor, watches, table: Arc::clone(&self.table) })
    }

    fn watches(&self) -> io::Result<Watches> {
        let mut running = lock(&self.running);
        if let Some(running) = running.as_ref().filter(|running| !running.task.is_finished()) {
            return Ok(running.watches.clone());
        }
        let mut stream = Inotify::init()?.into_event_stream(vec![0; BUFFER])?;
        let watches = stream.watches();
        let table = Arc::clone(&self.table);
        let task = tokio::spawn(async move {
            while let Some(Ok(event)) = stream.next().await {
                let news = News::of(event.name.as_deref(), event.mask);
                if news == News::Nothing {
                    continue;
                }
                let all = event.mask.contains(EventMask::Q_OVERFLOW);
                let table = lock(&table);
                let wanted = table.iter().filter(|(descriptor, _)| all || **descriptor == event.wd);
                for bell in wanted.flat_map(|(_, readers)| readers).filter_map(Weak::upgrade) {
                    bell.stage.fetch_or(news == News::Stage, Ordering::Release);
                    bell.notify.notify_one();
                }
            }
        });
        *running = Some(Running { watches: watches.clone(), task: task.abort_handle() });
        Ok(watches)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some(running) = lock(&self.running).take() {
            running.task.abort();
        }
    }
}

/// A folder that is being watched.
#[derive(Debug)]
pub(crate) struct Watch {
    bell: Arc<Bell>,
    descriptor: WatchDescriptor,
    watches: Watches,
    table: Arc<Table>,
}

impl Watch {
    /// Returns when something happened since the last return: whether that may concern more than the output.
    pub(crate) async fn changed(&self) -> bool {
        self.bell.notify.notified().await;
        self.bell.stage.swap(false, Ordering::Acquire)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut table = lock(&self.table);
        let Some(readers) = table.get_mut(&self.descriptor) else { return };
        readers.retain(|reader| !std::ptr::eq(reader.as_ptr(), Arc::as_ptr(&self.bell)));
        if readers.is_empty() {
            table.remove(&self.descriptor);
            // The system may have ended it already, with the folder.
            let _ = self.watches.remove(self.descriptor.clone());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
