//! Faults of the job request: the job waits in GitLab's queue meanwhile.

use std::time::Duration;

use crate::row::Row;

#[tokio::test(start_paused = true)]
async fn fault_request_5xx() {
    Row::new("request-5xx", ["request_job:1:500", "request_job:2:503"]).check().await;
}

#[tokio::test(start_paused = true)]
async fn fault_request_429() {
    let row = Row::new("request-429", ["request_job:1:429,header=Retry-After=4"]);
    row.length(Duration::from_secs(4)).check().await;
}

#[tokio::test(start_paused = true)]
async fn fault_request_422() {
    Row::new("request-422", ["request_job:1:422"]).check().await;
}

#[tokio::test(start_paused = true)]
async fn fault_request_cut() {
    Row::new("request-cut", ["request_job:1:reset"]).check().await;
}

#[tokio::test(start_paused = true)]
async fn fault_poll_hang() {
    let row = Row::new("poll-hang", ["request_job:1:delay-before=8s"]);
    row.length(Duration::from_secs(8)).check().await;
}
