//! Every broken executor is caught by the checks that are meant for it, and by no other. Takes minutes, because the whole suite
//! runs once for each: not run unless asked for.
#![expect(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod broken;
mod broken_stream;
mod fault;
mod judge;
mod reference;

use crate::fault::TABLE;
use crate::judge::failed;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
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
