//! Conformance scenarios that concern the server's side, by their numbers.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use runner_coordinator::core::{Endpoint, JobId, JobState, Options, Reply};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::support::Gitlab;

const LAST_UPDATE: &str = "x-gitlab-last-update";

fn poll(gitlab: &mut Gitlab, last_update: &str) -> Reply {
    let body = json!({ "token": gitlab.token, "last_update": last_update }).to_string();
    gitlab.send(Request::post("/api/v4/jobs/request").body(Bytes::from(body)).unwrap())
}

#[test]
fn scenario_01_the_api_lives_below_a_folder() {
    let mut gitlab = Gitlab::new(Options { root: "/sub/ci".to_owned(), ..Options::default() });
    let body = Bytes::from(json!({ "token": gitlab.token }).to_string());
    let mut ask = |path: &str| {
        let request = Request::post(path).body(body.clone()).unwrap();
        gitlab.send(request).ready().unwrap().response.status().as_u16()
    };
    assert_eq!(ask("/sub/ci/api/v4/jobs/request"), 204);
    assert_eq!(ask("/api/v4/jobs/request"), 404);
}

#[test]
fn scenario_03_an_odd_request_id_is_noted() {
    let mut gitlab = Gitlab::new(Options::default());
    let body = Bytes::from(json!({ "token": gitlab.token }).to_string());
    let headers = [("User-Agent", "gitlab-runner 19.4.0"), ("Content-Type", "application/json")];
    let ask = |gitlab: &mut Gitlab, id| {
        let headers = [headers[0], headers[1], ("X-Request-Id", id)];
        gitlab.call_with("POST", "jobs/request", &headers, body.clone());
        gitlab.core.oddities().iter().map(|oddity| oddity.what).collect::<Vec<_>>()
    };
    assert_eq!(ask(&mut gitlab, "0123456789abcdef0123456789abcdef"), [] as [&str; 0]);
    assert_eq!(ask(&mut gitlab, "me"), ["X-Request-Id is not 32 lower-case hex digits"]);
}

#[test]
fn scenario_15_an_answer_that_is_not_json_comes_by_a_fault() {
    let mut gitlab = Gitlab::new(Options::default());
    gitlab.core.register_token("reg".to_owned().into());
    gitlab.core.add_fault("register:1:header=content-type=text/html".parse().unwrap());
    let answer = gitlab.call("POST", "runners", json!({ "token": "reg" }));
    assert_eq!((answer.status(), answer.header("content-type")), (201, Some("text/html")));
}

#[test]
fn scenario_03_the_request_id_comes_back() {
    let mut gitlab = Gitlab::new(Options::default());
    let id = "0123456789abcdef0123456789abcdef";
    let body = Bytes::from(json!({ "token": gitlab.token }).to_string());
    let answer = gitlab.call_with("POST", "jobs/request", &[("X-Request-Id", id)], body);
    assert_eq!(answer.header("x-request-id"), Some(id));
    assert_eq!(gitlab.request_with(json!({})).header("x-request-id"), None);
}

#[test]
fn scenario_19_verification_may_answer_in_plain_text() {
    let mut gitlab = Gitlab::new(Options::default());
    let rule = "verify:1-2:200,body=200,header=content-type=text/plain";
    gitlab.core.add_fault(rule.parse().unwrap());
    for _ in 0..2 {
        let answer = gitlab.call("POST", "runners/verify", json!({ "token": "x" }));
        assert_eq!((answer.status(), answer.header("content-type")), (200, Some("text/plain")));
        assert_eq!(answer.bytes().as_ref(), b"200");
    }
    assert_eq!(gitlab.core.request_count(Endpoint::Verify), 2);
}

#[test]
fn scenario_23_a_token_is_reset_by_itself_or_by_a_person() {
    let mut gitlab = Gitlab::new(Options { record_requests: true, ..Options::default() });
    gitlab.core.personal_token("glpat-a".to_owned().into());
    let old = gitlab.token.clone();
    let own = gitlab.call("POST", "runners/reset_authentication_token", json!({ "token": old }));
    let by_id = format!("runners/{}/reset_authentication_token", gitlab.runner);
    let by_person = gitlab.call_with("POST", &by_id, &[("PRIVATE-TOKEN", "glpat-a")], "null".into());
    assert_eq!((own.status(), by_person.status()), (201, 201));
    assert_ne!(own.json()["token"], by_person.json()["token"]);
    let verify = gitlab.call("POST", "runners/verify", json!({ "token": own.json()["token"] }));
    assert_eq!(verify.status(), 403, "the second reset ended the first token");
}

#[test]
fn scenario_27_only_an_idle_answer_moves_the_cursor() {
    let mut gitlab = Gitlab::new(Options::default());
    let first = gitlab.request_with(json!({})).header(LAST_UPDATE).unwrap().to_owned();
    gitlab.enqueue(json!({}));
    let answer = poll(&mut gitlab, &first).ready().unwrap().response;
    assert_eq!((answer.status().as_u16(), answer.headers().get(LAST_UPDATE)), (201, None));
    let answer = poll(&mut gitlab, &first).ready().unwrap().response;
    assert_eq!(answer.status(), 204);
    assert_ne!(answer.headers()[LAST_UPDATE], first.as_str());
}

#[test]
fn scenario_29_a_poll_is_held_for_fifty_seconds() {
    let mut gitlab = Gitlab::new(Options::default());
    let cursor = gitlab.request_with(json!({})).header(LAST_UPDATE).unwrap().to_owned();
    let Reply::Hold(hold) = poll(&mut gitlab, &cursor) else { panic!("not held") };
    assert_eq!(hold.until(), gitlab.now + Duration::from_secs(50));
    gitlab.pass(50);
    let answer = gitlab.core.resume(hold, gitlab.now).ready().unwrap().response;
    assert_eq!((answer.status().as_u16(), answer.headers().get(LAST_UPDATE)), (204, None));
    assert_eq!(answer.headers()["gitlab-ci-builds-polling"], "yes");
}

#[test]
fn scenario_37_a_job_may_end_without_acknowledgement_where_there_is_one_phase() {
    let mut gitlab = Gitlab::new(Options::default());
    let (job, token) = gitlab.running();
    let body =
        json!({ "state": "failed", "failure_reason": "runner_system_failure", "exit_code": 3, "output": {} });
    assert_eq!(gitlab.update(job, &token, body).status(), 200);
    let record = gitlab.job(job);
    assert_eq!(
        (record.failure_reason.as_deref(), record.exit_code),
        (Some("runner_system_failure"), Some(3))
    );
    assert_eq!(record.request_count(Endpoint::UpdateJob), 1);
}

#[test]
fn scenario_43_the_throttle_asks_for_seven_seconds() {
    let mut gitlab = Gitlab::new(Options::default());
    gitlab.core.add_fault("request_job:1:throttle=7s".parse().unwrap());
    let answer = gitlab.request_with(json!({}));
    assert_eq!((answer.status(), answer.header("retry-after")), (429, Some("7")));
    assert_eq!(answer.header("ratelimit-resettime"), Some("Tue, 14 Nov 2023 22:13:27 GMT"));
    assert_eq!(gitlab.request_with(json!({})).status(), 204);
}

#[test]
fn scenarios_52_to_54_how_a_job_is_taken_from_its_runner() {
    for (force, status, header) in [(false, 202, "canceling"), (true, 403, "canceled")] {
        let mut gitlab = Gitlab::new(Options::default());
        let (job, token) = gitlab.running();
        assert_eq!(gitlab.core.cancel(job, force, gitlab.now).map(JobState::as_str), Some(header));
        let answer = gitlab.patch(job, &token, "0-2", b"abc");
        assert_eq!((answer.status(), answer.header("job-status")), (status, Some(header)));
    }
    let mut gitlab = Gitlab::new(Options::default());
    let (job, token) = gitlab.running();
    gitlab.core.add_fault("patch_trace:1:403".parse().unwrap());
    gitlab.core.add_fault("patch_trace:2:header=job-status=canceled".parse().unwrap());
    let answer = gitlab.patch(job, &token, "0-2", b"abc");
    assert_eq!((answer.status(), answer.header("job-status")), (403, None));
    let answer = gitlab.patch(job, &token, "0-2", b"abc");
    assert_eq!((answer.status(), answer.header("job-status")), (202, Some("canceled")));
}

#[test]
fn scenario_57_any_interval_can_be_asked_for() {
    let mut gitlab = Gitlab::new(Options::default());
    let (job, token) = gitlab.running();
    let mut interval = |rule: Option<&str>| {
        gitlab.core.clear_faults();
        if let Some(value) = rule {
            let rule = format!("patch_trace:1:header=x-gitlab-trace-update-interval={value}");
            gitlab.core.add_fault(rule.parse().unwrap());
        }
        let at = gitlab.job(job).trace.len();
        let answer = gitlab.patch(job, &token, &format!("{at}-{}", at + 2), b"abc");
        answer.header("x-gitlab-trace-update-interval").map(str::to_owned)
    };
    assert_eq!(interval(None).as_deref(), Some("3"));
    for value in ["60", "7200", "0", "-1", "x"] {
        assert_eq!(interval(Some(value)).as_deref(), Some(value));
    }
}

#[test]
fn scenario_71_a_trace_is_wanted_again_from_its_beginning() {
    let mut gitlab = Gitlab::new(Options::default());
    let (job, token) = gitlab.running();
    gitlab.patch(job, &token, "0-2", b"abc");
    gitlab.core.add_fault("update_job:1:412,forget=3".parse().unwrap());
    let last = json!({ "state": "success", "output": { "checksum": "crc32:352441c2", "bytesize": 3 } });
    assert_eq!(gitlab.update(job, &token, last.clone()).status(), 412);
    assert_eq!(gitlab.patch(job, &token, "0-2", b"abc").status(), 202);
    assert_eq!(gitlab.update(job, &token, last).status(), 200);
    assert!(gitlab.job(job).final_update.as_ref().unwrap().trace_is_complete());
}

#[test]
fn scenario_73_a_final_update_may_meet_a_job_that_is_gone() {
    let mut gitlab = Gitlab::new(Options::default());
    let (job, token) = gitlab.running();
    gitlab.core.add_fault("update_job:1:404".parse().unwrap());
    assert_eq!(gitlab.update(job, &token, json!({ "state": "success" })).status(), 404);
    gitlab.core.erase(job);
    let answer = gitlab.update(job, &token, json!({ "state": "success" }));
    assert_eq!((answer.status(), answer.header("job-status")), (403, None));
}

#[test]
fn scenario_79_a_job_that_is_not_acknowledged_within_two_minutes_is_lost() {
    let mut gitlab = Gitlab::new(Options::default());
    let features = json!({ "two_phase_job_commit": true });
    let running = json!({ "state": "running", "output": {} });
    for (wait, status, state) in
        [(119, 200, JobState::Running), (120, 403, JobState::Failed), (121, 403, JobState::Failed)]
    {
        let (job, token) = gitlab.running_with(features.clone());
        assert_eq!(gitlab.job(job).state, JobState::Pending);
        gitlab.pass(wait);
        let answer = gitlab.update(job, &token, running.clone());
        assert_eq!((answer.status(), answer.header("job-status")), (status, Some(state.as_str())), "{wait}");
        // What is lost stays lost, also for its log.
        let trace = gitlab.patch(job, &token, "0-2", b"abc");
        assert_eq!(trace.status(), if status == 200 { 202 } else { 403 });
    }
}

#[test]
fn scenario_79_pending_renews_the_two_minutes() {
    let mut gitlab = Gitlab::new(Options::default());
    let (job, token) = gitlab.running_with(json!({ "two_phase_job_commit": true }));
    for _ in 0..5 {
        gitlab.pass(119);
        assert_eq!(gitlab.update(job, &token, json!({ "state": "pending" })).status(), 200);
    }
    assert_eq!(gitlab.update(job, &token, json!({ "state": "running" })).status(), 200);
    assert_eq!(gitlab.update(job, &token, json!({ "state": "pending" })).status(), 400);
}

#[test]
fn scenario_81_and_87_answers_about_artifacts_come_by_faults() {
    for (rule, status) in [("503", 503), ("500", 500), ("413", 413), ("401", 401), ("404", 404)] {
        let mut gitlab = Gitlab::new(Options::default());
        let (job, token) = gitlab.running();
        gitlab.core.add_fault(format!("upload_artifact:*:{rule}").parse().unwrap());
        gitlab.core.add_fault(format!("download_artifact:*:{rule}").parse().unwrap());
        let headers = [("JOB-TOKEN", token.as_str())];
        let path = format!("jobs/{job}/artifacts");
        for method in ["POST", "GET"] {
            let answer = gitlab.call_with(method, &path, &headers, Bytes::new());
            assert_eq!(
                (answer.status(), answer.json()["message"].is_string()),
                (status, true),
                "{method} {rule}"
            );
        }
        assert_eq!(gitlab.job(job).artifacts, []);
    }
}

#[test]
fn scenario_35_a_payload_goes_out_as_it_came_nulls_included() {
    let mut gitlab = Gitlab::new(Options::default());
    let payload =
        json!({ "image": null, "services": null, "steps": [{ "name": "script", "when": null }], "new": [1] });
    gitlab.enqueue(payload.clone());
    let Value::Object(mut sent) = gitlab.request_with(json!({})).json() else { panic!() };
    sent.retain(|key, _| !matches!(key.as_str(), "id" | "token"));
    assert_eq!(Value::Object(sent), payload);
}

#[test]
fn scenario_115_the_session_of_a_job_is_known() {
    let mut gitlab = Gitlab::new(Options::default());
    gitlab.enqueue(json!({}));
    let session =
        json!({ "url": "https://r:8093/session/f0", "certificate": "PEM", "authorization": "secret" });
    let body = json!({ "token": gitlab.token, "session": session });
    let job = gitlab.call("POST", "jobs/request", body).json()["id"].as_u64().unwrap();
    let record = gitlab.job(JobId(job));
    let session = record.session.as_ref().unwrap();
    assert_eq!((session.url.as_str(), session.certificate.as_str()), ("https://r:8093/session/f0", "PEM"));
    assert_eq!(session.authorization.expose_secret(), "secret");
    assert!(!format!("{session:?}").contains("f0"));
}
