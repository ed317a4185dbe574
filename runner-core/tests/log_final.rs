//! The end of a job: draining the log, the final state, and what a server may answer to it.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod log_support;

use std::time::Duration;

use log_support::{Fault, Job, Server, settle};
use runner_api::{FailureReason, JobState, JobStatus};
use runner_core::log::{Delivery, FinalState, SenderSettings};
use tokio::time::{Instant, sleep};

fn failed() -> FinalState {
    FinalState::Failed { reason: FailureReason::ScriptFailure, exit_code: Some(3) }
}

/// Prints, meets the faults, ends. How it ended and how long that took.
async fn end(server: &Server, state: FinalState) -> (Delivery, Duration) {
    let mut job = Job::simple(server).await;
    job.print("hello\n").await;
    job.log.finish().await.unwrap();
    let start = Instant::now();
    (job.sender.finish(state).await, start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn scenario_69_the_rest_of_the_log_goes_first_then_the_state() {
    let server = Server::new();
    server.set_interval(Duration::from_secs(60));
    let mut job = Job::simple(&server).await;
    job.print("first\n").await;
    settle().await;
    job.print(vec![b'x'; 3 * 1024 * 1024]).await;
    job.log.finish().await.unwrap();
    assert_eq!(job.sender.finish(FinalState::Success).await, Delivery::Delivered);
    assert_eq!(server.patches().len(), 4);
    assert!(server.patches().iter().all(|patch| patch.0.is_zero()), "without pauses");
    let ends = server.ends();
    assert_eq!(ends.len(), 1);
    let update = &ends[0].1;
    assert_eq!((&update.state, &update.failure_reason, update.exit_code), (&JobState::Success, &None, None));
    let output = update.output.unwrap();
    assert_eq!(output.bytesize(), 3 * 1024 * 1024 + 6);
    assert_eq!(output.checksum(), format!("crc32:{:08x}", crc32fast::hash(&server.trace())));
}

#[tokio::test(start_paused = true)]
async fn a_failure_tells_reason_and_exit_code() {
    let server = Server::new();
    assert_eq!(end(&server, failed()).await, (Delivery::Delivered, Duration::ZERO));
    let update = &server.ends()[0].1;
    assert_eq!(update.state, JobState::Failed);
    assert_eq!(
        (update.failure_reason.clone(), update.exit_code),
        (Some(FailureReason::ScriptFailure), Some(3))
    );
}

#[tokio::test(start_paused = true)]
async fn scenario_65_an_empty_log_has_the_checksum_of_nothing() {
    let server = Server::new();
    let job = Job::simple(&server).await;
    job.log.finish().await.unwrap();
    assert_eq!(job.sender.finish(FinalState::Success).await, Delivery::Delivered);
    assert_eq!(server.ends()[0].1.output.unwrap().checksum(), "crc32:00000000");
    assert!(server.patches().is_empty());
}

#[tokio::test(start_paused = true)]
async fn not_completed_is_asked_again_after_the_servers_interval() {
    let server = Server::new();
    let waits = [1, 2, 4, 8, 16, 32, 64, 64, 64, 64, 64, 64].map(Duration::from_secs);
    let mut job = Job::simple(&server).await;
    server.fail_puts(waits.map(Fault::NotCompleted));
    job.print("hello\n").await;
    job.log.finish().await.unwrap();
    assert_eq!(job.sender.finish(failed()).await, Delivery::Delivered, "such rounds are no failed tries");
    let times: Vec<Duration> = server.ends().iter().map(|put| put.0).collect();
    let gaps: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(gaps, waits);
}

#[tokio::test(start_paused = true)]
async fn scenario_71_after_412_the_whole_log_is_sent_again() {
    let server = Server::new();
    let mut job = Job::simple(&server).await;
    job.print("hello\n").await;
    settle().await;
    job.log.finish().await.unwrap();
    server.fail_puts([Fault::Invalid]);
    server.lose_all_but(0);
    assert_eq!(job.sender.finish(FinalState::Success).await, Delivery::Delivered);
    assert_eq!(server.text(), "hello\n");
    assert_eq!(server.patches().last().map(|patch| (patch.1, patch.2)), Some((0, 6)));
    assert_eq!(server.ends().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_always_finds_the_log_wrong_is_given_up() {
    let server = Server::new();
    let mut job = Job::simple(&server).await;
    job.print("hello\n").await;
    job.log.finish().await.unwrap();
    server.fail_puts((0..1000).map(|_| Fault::Invalid));
    assert!(matches!(job.sender.finish(FinalState::Success).await, Delivery::GivenUp(_)));
}

#[tokio::test(start_paused = true)]
async fn scenario_73_a_final_update_that_is_refused_is_the_end() {
    for fault in [Fault::Status(404), Fault::Forbidden(None), Fault::Forbidden(Some(JobStatus::Canceled))] {
        let server = Server::new();
        let mut job = Job::simple(&server).await;
        job.print("hello\n").await;
        job.log.finish().await.unwrap();
        server.fail_puts([fault.clone()]);
        let delivery = job.sender.finish(FinalState::Success).await;
        assert!(matches!(delivery, Delivery::RejectedByServer(_)), "{fault:?}: {delivery:?}");
        assert_eq!(server.ends().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_report_may_name_the_state_that_was_reported() {
    let server = Server::new();
    let mut job = Job::simple(&server).await;
    job.print("hello\n").await;
    job.log.finish().await.unwrap();
    server.fail_puts([Fault::JobStatus(JobStatus::Failed)]);
    assert_eq!(job.sender.finish(failed()).await, Delivery::Delivered);
    assert_eq!(server.ends().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_report_whose_answer_was_lost_was_a_report() {
    let server = Server::new();
    let mut job = Job::simple(&server).await;
    job.print("hello\n").await;
    job.log.finish().await.unwrap();
    server.fail_puts([Fault::AnswerLost, Fault::Forbidden(Some(JobStatus::Success))]);
    let start = Instant::now();
    assert_eq!(job.sender.finish(FinalState::Success).await, Delivery::Delivered);
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn connection_losses_at_the_end_cost_no_intervals() {
    let server = Server::new();
    server.fail_patches([Fault::Reset, Fault::AnswerLost, Fault::Reset]);
    let (delivery, took) = end(&server, FinalState::Success).await;
    assert_eq!(delivery, Delivery::Delivered);
    assert_eq!(server.text(), "hello\n");
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn scenario_75_a_patch_that_fails_holds_the_state_back() {
    let server = Server::new();
    server.fail_patches((0..6).map(|_| Fault::Status(500)));
    let (delivery, _) = end(&server, FinalState::Success).await;
    assert_eq!(delivery, Delivery::Delivered);
    assert_eq!(server.ends().len(), 1);
    assert!(server.ends()[0].0 >= server.patches()[6].0, "the state comes behind the log");
    assert_eq!(server.text(), "hello\n");
}

#[tokio::test(start_paused = true)]
async fn scenario_51_an_unknown_or_refused_log_does_not_hold_the_state_back() {
    for fault in [Fault::Status(404), Fault::Forbidden(None)] {
        let server = Server::new();
        server.fail_patches((0..100).map(|_| fault.clone()));
        let (delivery, _) = end(&server, FinalState::Success).await;
        assert_eq!(delivery, Delivery::Delivered);
        assert_eq!(server.ends().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn tries_are_limited_and_spaced_twice_as_far_each_time() {
    let server = Server::new();
    let job = Job::simple(&server).await;
    job.log.finish().await.unwrap();
    server.fail_puts((0..1000).map(|_| Fault::Status(400)));
    let delivery = job.sender.finish(FinalState::Success).await;
    assert!(matches!(delivery, Delivery::GivenUp(_)));
    let times: Vec<Duration> = server.ends().iter().map(|put| put.0).collect();
    let gaps: Vec<u64> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs()).collect();
    assert_eq!(gaps, [1, 2, 4, 8, 16, 32, 64, 128, 256]);
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_ten_seconds_ends_with_a_delivery_soon_after() {
    let server = Server::new();
    let mut job = Job::start(
        &server,
        runner_core::log::LogStorage::memory(),
        log_support::filter_settings(&[]),
        SenderSettings::default(),
    )
    .await;
    settle().await;
    server.fail_patches((0..12).map(|_| Fault::Status(503)));
    job.print("hello\n").await;
    job.log.finish().await.unwrap();
    assert_eq!(job.sender.finish(failed()).await, Delivery::Delivered);
    assert_eq!(server.text(), "hello\n");
}

#[tokio::test(start_paused = true)]
async fn the_result_can_be_asked_for_again_and_only_the_first_state_counts() {
    let server = Server::new();
    let job = Job::simple(&server).await;
    job.log.finish().await.unwrap();
    server.fail_puts([Fault::Stall(Duration::from_secs(3))]);
    let early = tokio::time::timeout(Duration::from_secs(1), job.sender.finish(FinalState::Success)).await;
    assert!(early.is_err());
    assert_eq!(job.sender.finish(failed()).await, Delivery::Delivered);
    assert_eq!(job.sender.finish(failed()).await, Delivery::Delivered);
    assert!(server.ends().iter().all(|(_, update)| update.state == JobState::Success));
}

#[tokio::test(start_paused = true)]
async fn a_sender_whose_task_is_gone_says_so() {
    let server = Server::new();
    let job = Job::simple(&server).await;
    job.tasks[1].abort();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(job.sender.finish(FinalState::Success).await, Delivery::Interrupted);
}
