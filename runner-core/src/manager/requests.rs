//! How many job requests of one runner are in flight at the same time.
//!
//! A runner that has nothing to do asks with one request at a time. Each job that it gets makes it ask a little more eagerly, up
//! to its `request_concurrency`; each answer without a job, and above all a server in trouble, less so.
//!
//! Source: GitLab's documentation of runners, adaptive request concurrency.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// What a request has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// There is work.
    Job,
    /// There is none, or it did not come to a request.
    Nothing,
    /// The server is in trouble.
    Trouble,
}

/// Counts requests and adapts their number.
#[derive(Debug)]
pub(super) struct Requests {
    most: u32,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    /// Rounded up: how many may be in flight.
    eagerness: f64,
    in_flight: u32,
}

/// A place for one request; given back when dropped.
#[derive(Debug)]
pub(super) struct RequestPlace<'a> {
    requests: &'a Requests,
}

impl Requests {
    /// At most `most` at a time, and at least one.
    pub(super) fn new(most: u32) -> Self {
        let state = State { eagerness: 1.0, in_flight: 0 };
        Self { most: most.max(1), state: Mutex::new(state), changed: Notify::new() }
    }

    /// Waits for a place.
    pub(super) async fn enter(&self) -> RequestPlace<'_> {
        loop {
            let changed = self.changed.notified();
            if self.take() {
                return RequestPlace { requests: self };
            }
            changed.await;
        }
    }

    /// Adapts to what a request has shown.
    pub(super) fn learn(&self, shown: Shown) {
        let mut state = self.lock();
        let factor = match shown {
            Shown::Job => 1.1,
            Shown::Nothing => 0.95,
            Shown::Trouble => 0.5,
        };
        state.eagerness = (state.eagerness * factor).clamp(1.0, f64::from(self.most));
        drop(state);
        self.changed.notify_waiters();
    }

    fn take(&self) -> bool {
        let mut state = self.lock();
        let free = f64::from(state.in_flight) < state.eagerness.ceil();
        if free {
            state.in_flight += 1;
        }
        free
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RequestPlace<'_> {
    fn drop(&mut self) {
        self.requests.lock().in_flight -= 1;
        self.requests.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many places can be taken at once.
    fn places(requests: &Requests) -> usize {
        let taken: Vec<_> = (0..10).take_while(|_| requests.take()).collect();
        taken.iter().for_each(|_| drop(RequestPlace { requests }));
        taken.len()
    }

    #[test]
    fn eagerness_follows_the_work() {
        let requests = Requests::new(3);
        assert_eq!(places(&requests), 1);
        requests.learn(Shown::Nothing);
        assert_eq!(places(&requests), 1);
        requests.learn(Shown::Job);
        assert_eq!(places(&requests), 2);
        (0..20).for_each(|_| requests.learn(Shown::Job));
        assert_eq!(places(&requests), 3);
        requests.learn(Shown::Trouble);
        assert_eq!(places(&requests), 2);
        (0..20).for_each(|_| requests.learn(Shown::Nothing));
        assert_eq!(places(&requests), 1);
    }

    #[tokio::test]
    async fn a_place_that_is_given_back_wakes_who_waits() {
        let requests = Requests::new(1);
        let first = requests.enter().await;
        let (_second, ()) = tokio::join!(requests.enter(), async { drop(first) });
    }
}
