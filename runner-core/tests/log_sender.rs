//! Sending the log while a job runs: bursts, repair, retries, keep-alive, cancel.

mod log_support;

use std::time::Duration;

use log_support::{Fault, Job, Server, settle};
use runner_api::{JobState, JobStatus};
use runner_core::log::{Acknowledgement, Delivery, Directive, FinalState, LineKind};
use tokio::time::sleep;

const MIB: usize = 1024 * 1024;

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

#[tokio::test(start_paused = true)]
async fn the_first_bytes_after_a_silence_go_at_once() {
    let server = Server::new();
    let mut job = Job::simple(&server).await;
    sleep(secs(5.0)).await;
    job.print("first\n").await;
    settle().await;
    assert_eq!(server.patches(), [(secs(5.0), 0, 6)]);
    sleep(secs(7.0)).await;
    job.print("second\n").await;
    settle().await;
    assert_eq!(server.patches()[1], (secs(12.0), 6, 7));
    assert_eq!(server.text(), "first\nsecond\n");
}

#[tokio::test(start_paused = true)]
async fn a_chatty_job_is_sent_once_per_interval() {
    let server = Server::new();
    let mut job = Job::simple(&server).await;
    for _ in 0..30 {
        job.print("x\n").await;
        settle().await;
        sleep(secs(0.1)).await;
    }
    let patches = server.patches();
    assert_eq!(patches.len(), 3, "{patches:?}");
    assert_eq!((patches[1].0 - patches[0].0, patches[2].0 - patches[1].0), (secs(1.0), secs(1.0)));
}

#[tokio::test(start_paused = true)]
async fn scenario_49_what_is_buffered_goes_in_one_burst_of_pieces_of_one_mebibyte() {
    let server = Server::new();
    let mut job = Job::simple(&server).await;
    job.print("a").await;
    settle().await;
    for _ in 0..7 {
        job.print(vec![b'x'; MIB / 2]).await;
    }
    sleep(secs(1.5)).await;
    let patches = server.patches();
    let sizes: Vec<usize> = patches.iter().map(|patch| patch.2).collect();
    assert_eq!(sizes, [1, MIB, MIB, MIB, MIB / 2]);
    // Whole pieces do not wait: later they would be the same requests. The rest waits for its time.
    let times: Vec<f64> = patches.iter().map(|patch| patch.0.as_secs_f64()).collect();
    assert_eq!(times, [0.0, 0.0, 0.0, 0.0, 1.0]);
}

#[tokio::test(start_paused = true)]
async fn scenario_57_the_servers_interval_is_honoured() {
    for (asked, expected) in [(60, 60), (7200, 15 * 60)] {
        let server = Server::new();
        server.set_interval(secs(f64::from(asked)));
        let mut job = Job::simple(&server).await;
        job.print("first\n").await;
        settle().await;
        job.print("second\n").await;
        sleep(secs(3600.0)).await;
        let times: Vec<Duration> = server.patches().iter().map(|patch| patch.0).collect();
        assert_eq!(times, [Duration::ZERO, Duration::from_secs(expected)], "asked for {asked}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shorter_interval_takes_effect_while_waiting() {
    let server = Server::new();
    server.set_interval(secs(60.0));
    let mut job = Job::simple(&server).await;
    job.print("first\n").await;
    settle().await;
    server.set_interval(secs(3.0));
    job.print("second\n").await;
    sleep(secs(60.0)).await;
    assert_eq!(server.patches()[1].0, secs(30.0), "the keep-alive was told that somebody watches");
}

#[tokio::test(start_paused = true)]
async fn failures_are_retried_without_waiting_a_whole_interval() {
    for fault in
        [Fault::Status(404), Fault::Status(429), Fault::Status(500), Fault::Status(503), Fault::Reset]
    {
        let server = Server::new();
        server.set_interval(secs(60.0));
        let mut job = Job::simple(&server).await;
        server.fail_patches([fault.clone(), fault.clone(), fault.clone()]);
        job.print("hello\n").await;
        sleep(secs(2.0)).await;
        assert_eq!(server.text(), "hello\n", "{fault:?}");
        assert_eq!(server.patches().len(), 4);
        assert_eq!(*job.sender.directive().borrow(), Directive::Run);
    }
}

#[tokio::test(start_paused = true)]
async fn a_piece_whose_answer_was_lost_is_not_sent_twice() {
    let server = Server::new();
    let mut job = Job::simple(&server).await;
    server.fail_patches([Fault::AnswerLost]);
    job.print("hello\n").await;
    sleep(secs(0.5)).await;
    job.print("again\n").await;
    sleep(secs(1.0)).await;
    assert_eq!(server.text(), "hello\nagain\n");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_lost_bytes_gets_them_again_at_once() {
    let server = Server::new();
    let mut job = Job::simple(&server).await;
    job.print("0123456789").await;
    settle().await;
    server.lose_all_but(4);
    sleep(secs(5.0)).await;
    job.print("abc").await;
    settle().await;
    assert_eq!(server.text(), "0123456789abc");
    let patches = server.patches();
    assert_eq!(patches[1..], [(secs(5.0), 10, 3), (secs(5.0), 4, 9)]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_claims_more_than_there_is_gets_what_comes_behind() {
    let server = Server::with_trace(b"0123456789".to_vec());
    let mut job = Job::simple(&server).await;
    job.print("abc").await;
    sleep(secs(2.0)).await;
    assert_eq!(server.text(), "0123456789");
    job.print("defghijklmn").await;
    sleep(secs(2.0)).await;
    assert_eq!(server.text(), "0123456789klmn");
    job.log.finish().await.unwrap();
    assert_eq!(job.sender.finish(FinalState::Success).await, Delivery::Delivered);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_insists_on_a_mismatch_is_not_flooded() {
    let server = Server::new();
    let mut job = Job::simple(&server).await;
    server.fail_patches((0..40).map(|_| Fault::Mismatch(0)));
    job.print("hello").await;
    sleep(secs(60.0)).await;
    let count = server.patches().len();
    assert!((5..30).contains(&count), "{count} requests in a minute");
    sleep(secs(300.0)).await;
    assert_eq!(server.text(), "hello");
}

#[tokio::test(start_paused = true)]
async fn a_stalled_patch_is_given_up_and_never_holds_up_the_keep_alive() {
    let server = Server::new();
    let mut job = Job::simple(&server).await;
    server.fail_patches([Fault::Stall(secs(1000.0)), Fault::Stall(secs(1000.0))]);
    job.print(vec![b'x'; MIB]).await;
    sleep(secs(9.9)).await;
    assert_eq!(server.puts().len(), 1, "only the acknowledgement");
    sleep(secs(20.4)).await;
    assert!(server.puts().iter().any(|(at, _)| *at == secs(10.0)), "{:?}", server.puts());
    sleep(secs(2.0)).await;
    assert_eq!(server.trace().len(), MIB);
    let sizes: Vec<usize> = server.patches().iter().map(|patch| patch.2).collect();
    assert_eq!(sizes[..3], [MIB, MIB / 2, MIB / 4], "smaller, and with more time");
}

#[tokio::test(start_paused = true)]
async fn scenario_59_the_keep_alive_says_what_the_server_should_have() {
    let server = Server::new();
    let mut job = Job::simple(&server).await;
    job.print("hello").await;
    sleep(secs(10.5)).await;
    let puts = server.puts();
    assert_eq!(puts[0].1.output, None, "the acknowledgement tells nothing of the log");
    assert_eq!(puts[1].0, secs(10.0));
    assert_eq!(puts[1].1.state, JobState::Running);
    let output = puts[1].1.output.unwrap();
    assert_eq!((output.bytesize(), output.checksum()), (5, "crc32:3610a686".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn the_keep_alive_is_silent_while_the_server_hears_of_the_job() {
    let server = Server::new();
    let mut job = Job::simple(&server).await;
    for _ in 0..20 {
        job.print("x").await;
        sleep(secs(3.0)).await;
    }
    assert_eq!(server.puts().len(), 1);
    sleep(secs(35.0)).await;
    assert_eq!(server.puts().len(), 4, "then every ten seconds");
    server.set_interval(secs(60.0));
    sleep(secs(65.0)).await;
    assert_eq!(server.puts().len(), 7, "at most every thirty");
}

#[tokio::test(start_paused = true)]
async fn scenario_54_a_cancel_is_told_by_patch_and_by_keep_alive() {
    let server = Server::new();
    let mut job = Job::simple(&server).await;
    let mut directive = job.sender.directive();
    server.fail_patches([Fault::JobStatus(JobStatus::Canceling)]);
    job.print("hello").await;
    assert_eq!(*directive.wait_for(|d| *d == Directive::Cancel).await.unwrap(), Directive::Cancel);
    assert_eq!(server.text(), "hello", "its log is taken as before");

    let server = Server::new();
    let job = Job::simple(&server).await;
    let mut directive = job.sender.directive();
    server.set_job_status(JobStatus::Canceling);
    directive.wait_for(|d| *d == Directive::Cancel).await.unwrap();
    assert_eq!(server.puts().last().unwrap().0, secs(10.0));
}

#[tokio::test(start_paused = true)]
async fn scenario_52_53_an_abort_is_told_by_403_by_job_status_and_by_404_on_put() {
    let patch_faults = [
        Fault::Forbidden(None),
        Fault::Forbidden(Some(JobStatus::Canceled)),
        Fault::JobStatus(JobStatus::Canceled),
        Fault::JobStatus(JobStatus::Failed),
    ];
    for fault in patch_faults {
        let server = Server::new();
        let mut job = Job::simple(&server).await;
        server.fail_patches([fault.clone()]);
        job.print("hello").await;
        job.sender.directive().wait_for(|d| *d == Directive::Abort).await.unwrap();
        sleep(secs(100.0)).await;
        assert_eq!(server.patches().len(), 1, "{fault:?}: nothing is sent against the server's will");
    }
    for fault in [Fault::Forbidden(None), Fault::Status(404), Fault::JobStatus(JobStatus::Canceled)] {
        let server = Server::new();
        let job = Job::simple(&server).await;
        server.fail_puts([fault]);
        job.sender.directive().wait_for(|d| *d == Directive::Abort).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_cancelled_early_keeps_its_early_log() {
    let server = Server::new();
    let mut job = Job::simple(&server).await;
    job.log.line(LineKind::Plain, "Running").await.unwrap();
    job.print("early\n").await;
    settle().await;
    // A user cancels; the server says so with the next keep-alive and still takes the log until the job is reported.
    server.set_job_status(JobStatus::Canceling);
    server.set_interval(secs(60.0));
    job.print("late\n").await;
    job.sender.directive().wait_for(|d| *d >= Directive::Cancel).await.unwrap();
    job.print("after_script\n").await;
    job.log.finish().await.unwrap();
    job.sender.finish(FinalState::Success).await;
    assert_eq!(server.text(), "\x1b[0KRunning\x1b[0;m\nearly\nlate\nafter_script\n");
}

#[tokio::test(start_paused = true)]
async fn an_abort_that_the_keep_alive_learns_of_does_not_stop_the_log() {
    let server = Server::new();
    server.set_interval(secs(60.0));
    let mut job = Job::simple(&server).await;
    job.print("early\n").await;
    settle().await;
    job.print("late\n").await;
    server.fail_puts([Fault::Status(404)]);
    job.sender.directive().wait_for(|d| *d == Directive::Abort).await.unwrap();
    job.log.finish().await.unwrap();
    job.sender.finish(FinalState::Success).await;
    assert_eq!(server.text(), "early\nlate\n");
}

#[tokio::test(start_paused = true)]
async fn an_abort_beside_an_accepted_piece_does_not_stop_the_log() {
    let server = Server::new();
    server.fail_patches([Fault::JobStatus(JobStatus::Canceled)]);
    let mut job = Job::simple(&server).await;
    job.print("early\n").await;
    job.sender.directive().wait_for(|d| *d == Directive::Abort).await.unwrap();
    job.print("late\n").await;
    job.log.finish().await.unwrap();
    job.sender.finish(FinalState::Success).await;
    assert_eq!(server.text(), "early\nlate\n");
    let offsets: Vec<u64> = server.patches().iter().map(|patch| patch.1).collect();
    assert_eq!(offsets, [0, 6], "what was taken is not sent again");
}

#[tokio::test(start_paused = true)]
async fn acknowledging_is_one_update_without_output() {
    let server = Server::new();
    let job = Job::simple(&server).await;
    assert_eq!(server.puts().len(), 1);
    assert_eq!(server.puts()[0].1, runner_api::JobUpdate::running());
    for (fault, expected) in [
        (Fault::Status(400), Acknowledgement::Accepted),
        (Fault::Status(409), Acknowledgement::Accepted),
        (Fault::Forbidden(None), Acknowledgement::Gone),
        (Fault::JobStatus(JobStatus::Canceling), Acknowledgement::CancelRequested),
    ] {
        let before = server.puts().len();
        server.fail_puts([fault]);
        assert_eq!(job.sender.acknowledge().await, expected);
        assert_eq!(server.puts().len(), before + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_without_answer_is_repeated_and_then_counts() {
    let server = Server::new();
    server.fail_puts([Fault::Reset, Fault::Status(503)]);
    let job = Job::simple(&server).await;
    assert_eq!(server.puts().len(), 3);
    server.fail_puts((0..10).map(|_| Fault::Reset));
    assert_eq!(job.sender.acknowledge().await, Acknowledgement::Accepted);
    assert_eq!(server.puts().len(), 8);
}
