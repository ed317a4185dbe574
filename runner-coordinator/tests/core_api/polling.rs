//! `POST jobs/request`.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use runner_coordinator::core::{EventKind, Hold, JobState, NewJob, NewRunner, Options, Reply};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::support::{Answer, Gitlab, message};

const LAST_UPDATE: &str = "x-gitlab-last-update";

fn poll(gitlab: &mut Gitlab, last_update: &str) -> Reply {
    let body = json!({ "token": gitlab.token, "last_update": last_update }).to_string();
    gitlab.send(Request::post("/api/v4/jobs/request").body(Bytes::from(body)).unwrap())
}

fn ready(reply: Reply) -> Answer {
    Answer(reply.ready().expect("an answer").response)
}

fn held(reply: Reply) -> Hold {
    match reply {
        Reply::Hold(hold) => hold,
        Reply::Ready(answer) => panic!("answered at once: {answer:?}"),
    }
}

fn cursor(gitlab: &mut Gitlab) -> String {
    let answer = gitlab.request_with(json!({}));
    assert_eq!(answer.status(), 204);
    answer.header(LAST_UPDATE).unwrap().to_owned()
}

#[test]
fn who_may_ask() {
    let mut gitlab = Gitlab::new(Options::default());
    let mut ask = |body: Value| gitlab.call("POST", "jobs/request", body);
    assert_eq!(ask(json!({})).error(), (400, json!({ "error": "token is missing" })));
    assert_eq!(ask(json!({ "token": "x" })).error(), message(StatusCode::FORBIDDEN));
    let long = "x".repeat(33 * 1024);
    assert_eq!(ask(json!({ "token": long })).error(), message(StatusCode::PAYLOAD_TOO_LARGE));
}

#[test]
fn the_cursor_moves_with_work_only() {
    let mut gitlab = Gitlab::new(Options { long_poll: Duration::ZERO, ..Options::default() });
    let first = cursor(&mut gitlab);
    assert_eq!(cursor(&mut gitlab), first);
    let answer = ready(poll(&mut gitlab, &first));
    assert_eq!((answer.status(), answer.header(LAST_UPDATE)), (204, Some(first.as_str())));
    assert_eq!(answer.header("gitlab-ci-builds-polling"), None, "there is no long poll");

    gitlab.enqueue(json!({ "job_info": { "name": "a" } }));
    gitlab.enqueue(json!({ "job_info": { "name": "b" } }));
    for name in ["a", "b"] {
        let answer = ready(poll(&mut gitlab, &first));
        assert_eq!((answer.status(), answer.header(LAST_UPDATE)), (201, None));
        assert_eq!(answer.json()["job_info"]["name"], name, "in the order of the queue");
    }
    let answer = ready(poll(&mut gitlab, &first));
    let second = answer.header(LAST_UPDATE).unwrap();
    assert_eq!(answer.status(), 204);
    assert_ne!(second, first);
}

#[test]
fn pausing_and_letting_go_on_moves_the_queue() {
    let mut gitlab = Gitlab::new(Options { long_poll: Duration::ZERO, ..Options::default() });
    gitlab.enqueue(json!({}));
    gitlab.core.pause(gitlab.runner, true);
    let paused = cursor(&mut gitlab);
    assert_eq!(ready(poll(&mut gitlab, &paused)).status(), 204);
    gitlab.core.pause(gitlab.runner, false);
    assert_eq!(ready(poll(&mut gitlab, &paused)).status(), 201);
}

#[test]
fn a_held_request_ends_when_the_time_is_up() {
    let mut gitlab = Gitlab::new(Options::default());
    let value = cursor(&mut gitlab);
    let hold = held(poll(&mut gitlab, &value));
    assert_eq!(hold.until(), gitlab.now + Duration::from_secs(50));
    assert_eq!(hold.runner(), Some(gitlab.runner));
    gitlab.pass(49);
    let hold = held(gitlab.core.resume(hold, gitlab.now));
    gitlab.pass(1);
    let answer = ready(gitlab.core.resume(hold, gitlab.now));
    assert_eq!((answer.status(), answer.header(LAST_UPDATE)), (204, None));
    assert_eq!(answer.header("gitlab-ci-builds-polling"), Some("yes"));
}

#[test]
fn a_held_request_ends_when_its_own_queue_moves() {
    let mut gitlab = Gitlab::new(Options::default());
    let tagged = NewRunner { tags: ["linux".to_owned()].into(), run_untagged: false, ..NewRunner::default() };
    gitlab.core.create_runner(tagged);
    let value = cursor(&mut gitlab);
    let hold = held(poll(&mut gitlab, &value));

    let mut job = NewJob::new(json!({}));
    job.tags = ["linux".to_owned()].into();
    let version = gitlab.core.queue_version();
    gitlab.core.enqueue(job, gitlab.now);
    assert_ne!(gitlab.core.queue_version(), version);
    let hold = held(gitlab.core.resume(hold, gitlab.now));

    let job = gitlab.enqueue(json!({}));
    let answer = ready(gitlab.core.resume(hold, gitlab.now));
    assert_eq!((answer.status(), answer.header(LAST_UPDATE)), (204, None));
    assert_eq!(gitlab.job(job).state, JobState::Pending, "the job waits for the next request");
    assert_eq!(ready(poll(&mut gitlab, &value)).status(), 201);
}

#[test]
fn a_held_request_may_get_the_job_and_is_told_of_the_runners_end() {
    let mut gitlab = Gitlab::new(Options { held_requests_get_jobs: true, ..Options::default() });
    let value = cursor(&mut gitlab);
    let hold = held(poll(&mut gitlab, &value));
    gitlab.enqueue(json!({}));
    assert_eq!(ready(gitlab.core.resume(hold, gitlab.now)).status(), 201);

    let value = cursor(&mut gitlab);
    let hold = held(poll(&mut gitlab, &value));
    gitlab.core.delete_runner(gitlab.runner);
    assert_eq!(ready(gitlab.core.resume(hold, gitlab.now)).status(), 204);
    assert_eq!(ready(poll(&mut gitlab, &value)).status(), 403);
}

#[test]
fn only_a_body_token_with_a_cursor_is_held() {
    let mut gitlab = Gitlab::new(Options::default());
    let value = cursor(&mut gitlab);
    let body = json!({ "last_update": value }).to_string();
    let token = gitlab.token.clone();
    let answer = gitlab.call_with("POST", "jobs/request", &[("RUNNER-TOKEN", &token)], body.into());
    assert_eq!((answer.status(), answer.header(LAST_UPDATE)), (204, Some(value.as_str())));
}

#[test]
fn tags_decide_who_gets_a_job() {
    let tags = |tags: &[&str]| tags.iter().map(|&tag| tag.to_owned()).collect();
    for (runner_tags, run_untagged, job_tags, fits) in [
        (tags(&[]), true, tags(&[]), true),
        (tags(&[]), true, tags(&["a"]), false),
        (tags(&["a"]), false, tags(&[]), false),
        (tags(&["a"]), true, tags(&[]), true),
        (tags(&["a", "b"]), false, tags(&["b"]), true),
        (tags(&["a"]), true, tags(&["a", "b"]), false),
    ] {
        let mut gitlab = Gitlab::new(Options::default());
        let case = format!("runner {runner_tags:?} {run_untagged}, job {job_tags:?}");
        let new = NewRunner { tags: runner_tags, run_untagged, ..NewRunner::default() };
        gitlab.token = gitlab.core.create_runner(new).token.expose_secret().to_owned();
        gitlab.core.enqueue(NewJob { tags: job_tags, ..NewJob::new(json!({})) }, gitlab.now);
        assert_eq!(gitlab.request_with(json!({})).status(), if fits { 201 } else { 204 }, "{case}");
    }
}

#[test]
fn a_protected_runner_takes_jobs_of_protected_refs() {
    let mut gitlab = Gitlab::new(Options::default());
    let new = NewRunner { protected: true, ..NewRunner::default() };
    gitlab.token = gitlab.core.create_runner(new).token.expose_secret().to_owned();
    gitlab.enqueue(json!({ "git_info": { "protected": false } }));
    gitlab.enqueue(json!({}));
    assert_eq!(gitlab.request_with(json!({})).status(), 204);
    gitlab.enqueue(json!({ "git_info": { "protected": true } }));
    assert_eq!(gitlab.request_with(json!({})).status(), 201);
}

#[test]
fn a_paused_runner_gets_nothing() {
    let mut gitlab = Gitlab::new(Options::default());
    gitlab.enqueue(json!({}));
    gitlab.core.pause(gitlab.runner, true);
    let answer = gitlab.request_with(json!({}));
    assert_eq!(answer.status(), 204);
    assert!(answer.header(LAST_UPDATE).is_some());
    gitlab.core.pause(gitlab.runner, false);
    assert_eq!(gitlab.request_with(json!({})).status(), 201);
}

#[test]
fn a_job_that_needs_more_than_the_runner_can_fails() {
    let mut gitlab = Gitlab::new(Options::default());
    let needy = gitlab.enqueue(json!({ "artifacts": [{ "exclude": ["a"] }] }));
    let by_host = {
        let mut job = NewJob::new(json!({}));
        job.required_features.insert("return_exit_code".to_owned());
        gitlab.core.enqueue(job, gitlab.now)
    };
    let plain = gitlab.enqueue(json!({}));
    let answer = gitlab.request_with(json!({ "return_exit_code": false, "variables": true }));
    assert_eq!((answer.status(), answer.json()["id"].as_u64()), (201, Some(plain.0)));
    for job in [needy, by_host] {
        assert_eq!(gitlab.job(job).state, JobState::Failed);
        assert_eq!(gitlab.job(job).failure_reason.as_deref(), Some("runner_unsupported"));
    }
    gitlab.enqueue(json!({ "artifacts": [{ "exclude": ["a"] }] }));
    assert_eq!(gitlab.request_with(json!({ "artifacts_exclude": true })).status(), 201);
}

#[test]
fn the_runners_maximum_timeout_lowers_the_jobs() {
    let mut gitlab = Gitlab::new(Options::default());
    let new = NewRunner { maximum_timeout: Some(600), ..NewRunner::default() };
    gitlab.token = gitlab.core.create_runner(new).token.expose_secret().to_owned();
    for (own, sent) in [(3600, 600), (60, 60)] {
        let job = NewJob { timeout: Some(Duration::from_secs(own)), ..NewJob::new(json!({})) };
        gitlab.core.enqueue(job, gitlab.now);
        assert_eq!(gitlab.request_with(json!({})).json()["runner_info"], json!({ "timeout": sent }));
    }
}

#[test]
fn a_reserved_job_has_its_id_and_token() {
    let mut gitlab = Gitlab::new(Options { first_job: 100, ..Options::default() });
    let ticket = gitlab.core.reserve_job();
    let other = gitlab.enqueue(json!({}));
    let token = ticket.token.expose_secret().to_owned();
    let payload = json!({ "variables": [{ "key": "CI_JOB_TOKEN", "value": token }] });
    let job = gitlab.core.enqueue(NewJob { ticket: Some(ticket), ..NewJob::new(payload) }, gitlab.now);
    assert_eq!((job.0, other.0), (100, 101));
    assert_eq!(
        gitlab.request_with(json!({})).json()["id"],
        101,
        "the order is that of the queue, not of the ids"
    );
    let answer = gitlab.request_with(json!({})).json();
    assert_eq!(answer["token"], token);
    assert_eq!(answer["variables"][0]["value"], token);
}

#[test]
fn assignment_is_told_with_its_time() {
    let mut gitlab = Gitlab::new(Options::default());
    let job = gitlab.enqueue(json!({}));
    let enqueued = gitlab.now;
    gitlab.pass(5);
    gitlab.request_with(json!({}));
    let record = gitlab.job(job);
    assert_eq!((record.enqueued_at, record.assigned_at), (enqueued, Some(gitlab.now)));
    assert_eq!(record.started_at, Some(gitlab.now));
    assert_eq!(record.system_id.as_deref(), Some("s_1"));
    let runner = gitlab.runner;
    let assigned = EventKind::JobAssigned { job, runner };
    assert_eq!(gitlab.events()[1..], [assigned, EventKind::JobStarted { job }]);
}
