//! Panics become errors: a defect in the run of one job, or in an executor, must not take anything else with it.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt;

/// A panic, in the words of whoever panicked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Panic(String);

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panic: {}", self.0)
    }
}

/// Runs a future; a panic in it is the error. Whatever it worked on must not be used afterwards as if it had ended properly.
///
/// The future is boxed: what is worth guarding is large.
pub(crate) fn guarded<F: Future>(future: F) -> impl Future<Output = Result<F::Output, Panic>> {
    let future = AssertUnwindSafe(Box::pin(future)).catch_unwind();
    future.map(|result| result.map_err(|payload| Panic(text(&*payload))))
}

/// The same for a call that does not wait.
pub(crate) fn guarded_now<T>(call: impl FnOnce() -> T) -> Result<T, Panic> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| Panic(text(&*payload)))
}

fn text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no reason given")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::guarded;

    #[tokio::test]
    async fn panics_become_texts() {
        assert_eq!(guarded(async { 1 }).await, Ok(1));
        let number = 7;
        let fixed: Result<(), _> = guarded(async { panic!("fixed") }).await;
        let made: Result<(), _> = guarded(async { panic!("made of {number}") }).await;
        let other: Result<(), _> = guarded(async { std::panic::panic_any(7) }).await;
        let texts = [fixed, made, other].map(|result| result.unwrap_err().to_string());
        assert_eq!(texts, ["panic: fixed", "panic: made of 7", "panic: no reason given"]);
    }
}
