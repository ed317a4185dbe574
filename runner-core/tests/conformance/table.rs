//! The suite judges the broken.

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, stream};
use runner_core::conformance::{Check, checks};

use crate::fault::TABLE;
use crate::judge::{AT_ONCE, failed};

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

#[test]
fn every_check_is_the_first_to_catch_something() {
    let first: BTreeSet<&str> = TABLE.iter().map(|row| row.caught_by[0]).collect();
    let all: BTreeSet<&str> = checks().iter().map(Check::name).collect();
    assert_eq!(first, all);
}
