//! Runs checks against a broken executor.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use runner_core::conformance::{Options, Verdict, checks, run_check};

use crate::broken::BrokenHost;
use crate::fault::Row;

/// So many checks run at once.
pub(crate) const AT_ONCE: usize = 16;

/// Runs the checks that are wanted of a row and tells which failed, and how.
pub(crate) async fn failed(row: Row, wanted: impl Fn(&str) -> bool) -> BTreeMap<&'static str, String> {
    let judged = stream::iter(checks().iter().filter(|check| wanted(check.name()))).map(|check| {
        let mut options = Options::default();
        options.large_output = 4 << 20;
        if row.hangs && row.caught_by.contains(&check.name()) {
            // What shows by nothing happening takes as long as we wait.
            options.deadline = Duration::from_secs(3);
        }
        // In tasks of their own, so that none waits for another's work.
        let judging =
            tokio::spawn(
                async move { run_check(check, Box::new(BrokenHost::new(row.fault)), &options).await },
            );
        async move { (check.name(), judging.await.unwrap()) }
    });
    let judged: Vec<_> = judged.buffer_unordered(AT_ONCE).collect().await;
    judged
        .into_iter()
        .filter_map(|(name, verdict)| match verdict {
            Verdict::Failed(why) => Some((name, why)),
            Verdict::Passed | Verdict::NotApplicable(_) => None,
        })
        .collect()
}
