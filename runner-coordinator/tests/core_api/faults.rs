//! Faults as a transport without sockets sees them.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use runner_coordinator::core::{Answer, Cut, Endpoint, JobState, Options, Reply};
use serde_json::json;

use crate::support::Gitlab;

fn patch(gitlab: &mut Gitlab, path: &str, token: &str, start: u64) -> Answer {
    let request = Request::patch(format!("/api/v4/{path}"))
        .header("JOB-TOKEN", token)
        .header("Content-Range", format!("{start}-{}", start + 2))
        .body(Bytes::from("abc"))
        .unwrap();
    gitlab.send(request).ready().unwrap()
}

#[test]
fn delay_and_cut_are_said_in_the_answer() {
    let mut gitlab = Gitlab::new(Options::default());
    let (job, token) = gitlab.running();
    for fault in ["patch_trace:1:reset", "patch_trace:2:reset=after,delay=5s", "patch_trace:3:truncate=2"] {
        gitlab.core.add_fault(fault.parse().unwrap());
    }
    let path = format!("jobs/{job}/trace");
    let answer = patch(&mut gitlab, &path, &token, 0);
    assert_eq!((answer.cut, gitlab.job(job).trace.len()), (Some(Cut::NoAnswer), 0));
    let answer = patch(&mut gitlab, &path, &token, 0);
    assert_eq!((answer.cut, gitlab.job(job).trace.len()), (Some(Cut::NoAnswer), 3));
    assert_eq!(answer.delay, Duration::from_secs(5));
    let answer = patch(&mut gitlab, &path, &token, 3);
    assert_eq!((answer.cut, answer.response.status().as_u16()), (Some(Cut::Body(2)), 202));
    assert_eq!(gitlab.job(job).request_count(Endpoint::PatchTrace), 3);
    gitlab.core.clear_faults();
}

#[test]
fn a_header_on_a_processed_answer() {
    let mut gitlab = Gitlab::new(Options::default());
    let (job, token) = gitlab.running();
    gitlab.core.add_fault("job:1:header=X-GitLab-Trace-Update-Interval=7200".parse().unwrap());
    let answer = gitlab.patch(job, &token, "0-2", b"abc");
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.header("x-gitlab-trace-update-interval"), Some("7200"));
}

#[test]
fn a_lost_tail_shows_in_the_final_comparison() {
    let mut gitlab = Gitlab::new(Options::default());
    let (job, token) = gitlab.running();
    gitlab.core.add_fault("update_job:1:forget=1".parse().unwrap());
    gitlab.patch(job, &token, "0-2", b"abc");
    let output = json!({ "checksum": "crc32:352441c2", "bytesize": 3 });
    gitlab.update(job, &token, json!({ "state": "success", "output": output }));
    let last = gitlab.job(job).final_update.clone().unwrap();
    assert_eq!((last.trace_bytesize, last.trace_is_complete()), (2, false));
    assert_eq!(gitlab.job(job).state, JobState::Success);
}

#[test]
fn a_fault_of_a_held_request_meets_its_answer() {
    let mut gitlab = Gitlab::new(Options::default());
    let value = gitlab.request_with(json!({})).header("x-gitlab-last-update").unwrap().to_owned();
    gitlab.core.add_fault("request_job:1:reset=after".parse().unwrap());
    let body = json!({ "token": gitlab.token, "last_update": value }).to_string();
    let request = Request::post("/api/v4/jobs/request").body(Bytes::from(body)).unwrap();
    let Reply::Hold(hold) = gitlab.send(request) else { panic!("not held") };
    let answer = gitlab.core.release(hold, gitlab.now);
    assert_eq!((answer.response.status().as_u16(), answer.cut), (204, Some(Cut::NoAnswer)));
}

#[test]
fn requests_are_recorded_on_demand() {
    let mut gitlab = Gitlab::new(Options { record_requests: true, ..Options::default() });
    gitlab.core.add_fault("verify:1:503".parse().unwrap());
    let headers = [("X-Request-Id", "0123456789abcdef0123456789abcdef")];
    gitlab.call_with("POST", "runners/verify", &headers, Bytes::from("{}"));
    gitlab.call("GET", "nowhere", json!({}));
    let requests = gitlab.core.requests();
    assert_eq!(requests[0].endpoint, Some(Endpoint::Verify));
    assert_eq!(requests[0].headers["x-request-id"], "0123456789abcdef0123456789abcdef");
    assert_eq!((requests[0].body.as_ref(), requests[0].at), (&b"{}"[..], gitlab.now));
    assert_eq!((requests[1].endpoint, requests[1].uri.path()), (None, "/api/v4/nowhere"));
}

#[test]
fn oddities_are_noted_and_tolerated() {
    let mut gitlab = Gitlab::new(Options::default());
    let (job, token) = gitlab.running();
    let before = gitlab.core.oddities().len();
    let headers = [
        ("User-Agent", "test"),
        ("Content-Type", "text/plain"),
        ("JOB-TOKEN", token.as_str()),
        ("Content-Range", "0-3"),
    ];
    let path = format!("jobs/{job}/trace");
    assert_eq!(gitlab.call_with("PATCH", &path, &headers, Bytes::from("abc")).status(), 202);
    let found = &gitlab.core.oddities()[before..];
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].endpoint, found[0].job), (Endpoint::PatchTrace, Some(job)));
    assert_eq!(found[0].what, "Content-Range does not fit the piece of trace");
}

#[test]
fn a_delay_before_processing() {
    let mut gitlab = Gitlab::new(Options::default());
    let (job, token) = gitlab.running();
    gitlab.core.add_fault("patch_trace:1:delay-before=5s,delay=1s".parse().unwrap());
    let request = Request::patch(format!("/api/v4/jobs/{job}/trace"))
        .header("JOB-TOKEN", &token)
        .header("Content-Range", "0-2")
        .body(Bytes::from("abc"))
        .unwrap();
    let Reply::Hold(hold) = gitlab.send(request) else { panic!("not held") };
    assert_eq!((hold.until(), hold.runner()), (gitlab.now + Duration::from_secs(5), None));
    assert!(!format!("{hold:?}").contains(&token));
    gitlab.pass(4);
    let Reply::Hold(hold) = gitlab.core.resume(hold, gitlab.now) else { panic!("processed early") };
    assert!(gitlab.job(job).trace.is_empty());
    gitlab.pass(1);
    let answer = gitlab.core.resume(hold, gitlab.now).ready().unwrap();
    assert_eq!((answer.response.status().as_u16(), answer.delay), (202, Duration::from_secs(1)));
    assert_eq!(gitlab.job(job).trace.bytes(), b"abc");
    assert_eq!(gitlab.job(job).request_count(Endpoint::PatchTrace), 1, "it is one request");
}

#[test]
fn nothing_listens_for_a_while() {
    let mut gitlab = Gitlab::new(Options::default());
    let value = gitlab.request_with(json!({})).header("x-gitlab-last-update").unwrap().to_owned();
    gitlab.core.add_fault("*:@10s-18s:down".parse().unwrap());
    let body = json!({ "token": gitlab.token, "last_update": value }).to_string();
    let poll = || Request::post("/api/v4/jobs/request").body(Bytes::from(body.clone())).unwrap();
    let Reply::Hold(hold) = gitlab.send(poll()) else { panic!("not held") };
    assert_eq!(gitlab.core.next_deadline(), Some(gitlab.now + Duration::from_secs(10)));
    gitlab.pass(10);
    let version = gitlab.core.queue_version();
    gitlab.core.advance(gitlab.now);
    assert_ne!(gitlab.core.queue_version(), version, "held requests are to be asked again");
    assert_eq!(gitlab.core.resume(hold, gitlab.now).ready().unwrap().cut, Some(Cut::Refused));
    let polls = gitlab.core.request_count(Endpoint::RequestJob);
    assert_eq!(gitlab.send(poll()).ready().unwrap().cut, Some(Cut::Refused));
    assert_eq!(gitlab.core.request_count(Endpoint::RequestJob), polls, "it has not arrived");
    gitlab.pass(8);
    assert!(matches!(gitlab.send(poll()), Reply::Hold(_)));
    gitlab.core.set_down(true);
    assert!(gitlab.core.is_down());
}

#[test]
fn a_request_may_arrive_twice() {
    let mut gitlab =
        Gitlab::new(Options { record_faults: true, record_requests: true, ..Options::default() });
    let (job, token) = gitlab.running();
    gitlab.core.add_fault("job:~1&^2:twice".parse().unwrap());
    // The second one ends where the trace ends: it is accepted again.
    let answer = gitlab.patch(job, &token, "0-2", b"abc");
    assert_eq!((answer.status(), gitlab.job(job).trace.len()), (202, 3));
    // The second one comes to a job that has ended.
    let answer = gitlab.update(job, &token, json!({ "state": "success" }));
    assert_eq!((answer.status(), answer.header("job-status")), (403, Some("success")));
    assert_eq!(gitlab.job(job).state, JobState::Success);
    let injected: Vec<_> = gitlab
        .core
        .injected()
        .iter()
        .map(|record| (record.endpoint, record.job, record.effect.to_string()))
        .collect();
    assert_eq!(
        injected,
        [
            (Endpoint::PatchTrace, Some(job), "twice".to_owned()),
            (Endpoint::UpdateJob, Some(job), "twice".to_owned())
        ]
    );
    assert!(gitlab.core.take_requests().len() >= 2);
    assert!(gitlab.core.requests().is_empty());
}
