//! Faults that last: nothing answers, or everything with an error.

use std::time::Duration;

use crate::row::Row;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn fault_outage_10s() {
    Row::new("outage-10s", ["job:@3s-13s:503"]).until(secs(13)).final_states(1).check().await;
    Row::new("outage-10s, at the end", ["job:@5900ms-15900ms:503"])
        .until(Duration::from_millis(15_900))
        .check()
        .await;
}

#[tokio::test(start_paused = true)]
async fn fault_down_8s() {
    Row::new("down-8s", ["*:@4s-12s:down"]).until(secs(12)).check().await;
}

/// The job runs although nobody hears that it was accepted, and is accepted before its log is sent.
#[tokio::test(start_paused = true)]
async fn fault_outage_10s_from_the_acknowledgement_on() {
    let row = Row::new("outage-10s, from the acknowledgement on", ["job:@0s-10s:503"]).until(secs(10));
    row.final_states(1).check().await;
    let row = Row::new("down-8s, from the acknowledgement on", ["job:@0s-8s:reset"]).until(secs(8));
    row.final_states(1).check().await;
}
