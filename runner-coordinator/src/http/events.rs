//! Event streams for the host.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::core::{Event, EventQueue};

/// The coordinator's events from the moment of [`Handle::events`](super::Handle::events) on. None is missed; what
/// waits to be read is bounded by the number of jobs, because [ranges of a trace
/// merge](crate::core::EventKind::TraceAppended).
#[derive(Debug)]
pub struct Events {
    subscriber: Arc<Subscriber>,
}

impl Events {
    /// The next event; `None` when server and handles are gone and everything has been read.
    ///
    /// Cancel-safe: an event is taken in the same step in which it is returned.
    pub async fn recv(&mut self) -> Option<Event> {
        loop {
            let (event, closed) = self.subscriber.take();
            if event.is_some() || closed {
                return event;
            }
            self.subscriber.arrived.notified().await;
        }
    }

    /// The next event, if one is waiting.
    pub fn try_recv(&mut self) -> Option<Event> {
        self.subscriber.take().0
    }
}

/// The sending side of one [`Events`].
#[derive(Debug, Default)]
pub(super) struct Subscriber {
    state: Mutex<(EventQueue, bool)>,
    arrived: Notify,
}

impl Subscriber {
    pub(super) fn subscribe(self: &Arc<Self>) -> Events {
        Events { subscriber: Arc::clone(self) }
    }

    pub(super) fn push(&self, event: Event) {
        self.lock().0.push(event);
        self.arrived.notify_one();
    }

    pub(super) fn close(&self) {
        self.lock().1 = true;
        self.arrived.notify_one();
    }

    fn take(&self) -> (Option<Event>, bool) {
        let mut state = self.lock();
        (state.0.pop(), state.1)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (EventQueue, bool)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
