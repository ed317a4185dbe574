//! Running checks.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use tokio::time::timeout;

use super::bench::{Bench, Halt};
use super::{Check, Host, Options, Report, Verdict, checks};

/// Runs all checks, one after another, each on a host of its own. Needs a runtime with time, and whatever the executor needs.
///
/// Dropping the future leaves behind what the check that was running had made.
pub async fn run<H: Host + 'static>(host: impl Fn() -> H, options: &Options) -> Report {
    let mut report = Report::default();
    for check in checks() {
        report.verdicts.push((check.name(), run_check(check, Box::new(host()), options).await));
    }
    report
}

/// Runs one check and removes what it left behind, whatever it found.
pub async fn run_check(check: &Check, host: Box<dyn Host>, options: &Options) -> Verdict {
    let bench = Bench::new(host, options.clone());
    let guarded = AssertUnwindSafe(timeout(options.deadline, check.call(&bench))).catch_unwind().await;
    let verdict = match guarded {
        Ok(Ok(Ok(()))) => Verdict::Passed,
        Ok(Ok(Err(Halt::NotApplicable(why)))) => Verdict::NotApplicable(why),
        Ok(Ok(Err(Halt::Failed(why)))) => Verdict::Failed(why),
        Ok(Err(_)) => Verdict::Failed(format!(
            "hangs: nothing came within {} s while {}",
            options.deadline.as_secs(),
            bench.doing()
        )),
        Err(panic) => Verdict::Failed(format!("panicked while {}: {}", bench.doing(), words(panic.as_ref()))),
    };
    // Something that panics or hangs once may do so again.
    let swept = AssertUnwindSafe(timeout(options.deadline, bench.sweep())).catch_unwind().await;
    bench.kill_what_is_left();
    match (verdict, swept) {
        (Verdict::Passed, Ok(Err(_))) => Verdict::Failed("cleaning up behind the check hangs".to_owned()),
        (Verdict::Passed, Err(panic)) => {
            Verdict::Failed(format!("cleaning up behind the check panicked: {}", words(panic.as_ref())))
        }
        (verdict, _) => verdict,
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without words")
}
