//! D. Repeating a call.

use std::time::{Duration, SystemTime};

use runner_api::transport::TransportErrorKind;
use runner_api::{JobRequest, JobToken, PatchResult, RunnerCredentials};
use tokio::time::Instant;

use crate::script::{Reply, Script, status, with};

fn request() -> JobRequest {
    JobRequest::new(RunnerCredentials::new("t"))
}

/// The waits between requests.
fn waits(script: &Script) -> Vec<Duration> {
    script.asked().windows(2).map(|pair| pair[1].at - pair[0].at).collect()
}

#[tokio::test(start_paused = true)]
async fn scenario_41_five_times_with_growing_waits_then_the_answer_is_given() {
    let script = Script::new((0..5).map(|_| status(503)));
    let error = script.client().request_job(&request()).await.unwrap_err();
    assert!(error.is_unavailable() && error.is_retryable() && error.tries() == 5);
    assert_eq!(
        error.to_string(),
        "POST https://gitlab.example.com/api/v4/jobs/request: 503 Service Unavailable, tried 5 times"
    );
    for (wait, base) in waits(&script).iter().zip([100, 200, 400, 800]) {
        let base = Duration::from_millis(base);
        assert!(*wait >= base && *wait <= base * 2 + Duration::from_millis(1), "{wait:?} for {base:?}");
    }
    let asked = script.asked();
    assert_eq!(asked.len(), 5);
    assert!(asked.iter().all(|one| one.header("x-request-id") == asked[0].header("x-request-id")));
    assert!(asked.iter().all(|one| one.body == asked[0].body));
}

#[tokio::test(start_paused = true)]
async fn scenario_43_the_server_decides_the_wait() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let reset = httpdate::fmt_http_date(now + Duration::from_secs(30));
    let script = Script::new([
        with(429, &[("retry-after", "7")], ""),
        with(429, &[("ratelimit-resettime", &reset), ("retry-after", "7")], ""),
        with(503, &[("retry-after", "100000")], ""),
        status(204),
    ]);
    let client = script.builder().wall_clock(move || now).build().unwrap();
    client.request_job(&request()).await.unwrap();
    let seconds: Vec<_> = waits(&script).iter().map(Duration::as_secs).collect();
    assert_eq!(seconds, [7, 30, 900]);
}

#[tokio::test(start_paused = true)]
async fn scenario_45_a_lost_connection_is_the_callers_to_repeat() {
    for kind in [TransportErrorKind::Other, TransportErrorKind::Connect, TransportErrorKind::Timeout] {
        let script = Script::new([Reply::Fail(kind), status(202)]);
        let job = script.client().job(1, JobToken::new("t"));
        let started = Instant::now();
        let outcome = job.patch_trace(0, "x".into(), false).await;
        assert_eq!((outcome.result, started.elapsed()), (PatchResult::Failed, Duration::ZERO));
        assert_eq!(script.asked().len(), 1);
        assert!(outcome.error.unwrap().is_retryable());
        // The caller's next tick.
        assert_eq!(job.patch_trace(0, "x".into(), false).await.result, PatchResult::Accepted { end: 1 });
    }
    let script = Script::new([Reply::Fail(TransportErrorKind::Other)]);
    assert!(script.client().request_job(&request()).await.unwrap_err().is_transport());
}
