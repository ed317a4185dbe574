//! Faults of the acknowledgement and of the final state.

use std::time::Duration;

use runner_coordinator::core::Endpoint;

use crate::row::Row;

#[tokio::test(start_paused = true)]
async fn fault_ack_lost() {
    Row::new("ack-lost", ["update_job:1:reset=after"]).check().await;
    Row::new("ack-lost, on the way there", ["update_job:1:reset"]).check().await;
}

#[tokio::test(start_paused = true)]
async fn fault_put_5xx() {
    let faults = ["update_job:2:500", "update_job:3:502", "update_job:4:503"];
    Row::new("put-5xx", faults).final_states(4).check().await;
}

#[tokio::test(start_paused = true)]
async fn fault_put_409() {
    Row::new("put-409", ["update_job:2:409"]).final_states(2).check().await;
}

/// The server finds the log wrong, of which it has lost everything.
#[tokio::test(start_paused = true)]
async fn fault_put_412() {
    let lived = Row::new("put-412", ["update_job:2:412,forget=1000000"]).final_states(2).check().await;
    assert_eq!(lived.requests(Endpoint::PatchTrace), 4);
}

/// The server needs two seconds to store the log, and asks for them one by one.
#[tokio::test(start_paused = true)]
async fn fault_put_202_twice() {
    let row = Row::new("put-202 ×2", []).options(|options| options.trace_store_time = Duration::from_secs(2));
    row.length(Duration::from_secs(2)).final_states(3).check().await;
}

/// The final state is applied, its answer is lost: the next one is refused, with the state that was reported.
#[tokio::test(start_paused = true)]
async fn fault_put_lost() {
    let lived = Row::new("put-lost", ["update_job:2:reset=after"]).final_states(2).check().await;
    assert_eq!(lived.requests(Endpoint::UpdateJob), 3);
}

/// The acknowledgement is refused for a moment: GitLab takes no end of a job that it does not know to be accepted.
#[tokio::test(start_paused = true)]
async fn fault_ack_refused() {
    Row::new("ack-409", ["update_job:1:409"]).check().await;
    Row::new("ack-400, and again", ["update_job:1-2:400"]).check().await;
}
