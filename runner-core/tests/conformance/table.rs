//! The suite judges the broken.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use runner_core::conformance::{Check, Options, Verdict, checks, run_check};

use crate::broken::BrokenHost;
use crate::fault::{Row, TABLE};

/// So many checks run at once.
const AT_ONCE: usize = 16;

/// Runs the checks that are wanted of a row and tells which failed, and how.
async fn failed(row: Row, wanted: impl Fn(&str) -> bool) -> BTreeMap<&'static str, String> {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_broken_executor_is_caught() {
    let rows = stream::iter(TABLE)
        .map(|row| async move { (row, failed(*row, |name| row.caught_by.contains(&name)).await) });
    let judged: Vec<_> = rows.buffer_unordered(AT_ONCE).collect().await;
    for (row, caught) in judged {
        let names: BTreeSet<&str> = caught.keys().copied().collect();
        assert_eq!(names, row.caught_by.iter().copied().collect(), "{:?}: {caught:#?}", row.fault);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs the suite once for each broken executor; part of .ci/long"]
async fn broken_executors_are_caught_by_the_right_checks_alone() {
    let mut wrong = Vec::new();
    for row in TABLE {
        let wrongly = failed(*row, |name| !row.caught_by.contains(&name)).await;
        if !wrongly.is_empty() {
            wrong.push((row.fault, wrongly));
        }
    }
    assert!(wrong.is_empty(), "also caught by others: {wrong:#?}");
}

#[test]
fn every_check_is_the_first_to_catch_something() {
    let first: BTreeSet<&str> = TABLE.iter().map(|row| row.caught_by[0]).collect();
    let all: BTreeSet<&str> = checks().iter().map(Check::name).collect();
    assert_eq!(first, all);
}
