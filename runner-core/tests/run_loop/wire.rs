//! What the run loop really sends, request by request.

use http::HeaderMap;
use runner_coordinator::core::{Endpoint, RequestRecord};
use serde_json::{Value, json};

use crate::support::{Act, Fake, GitLab, Payload, Rig};

/// The requests of an endpoint, in order.
fn sent(gitlab: &GitLab, endpoint: Endpoint) -> Vec<RequestRecord> {
    gitlab.with(|coordinator, _| {
        let requests = coordinator.requests().iter();
        requests.filter(|request| request.endpoint == Some(endpoint)).cloned().collect()
    })
}

fn body(request: &RequestRecord) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_queue_position_is_echoed_from_the_second_request_on() {
    let rig = Rig::in_process();
    let running = rig.start(Fake::new());
    tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    running.drain().await;
    let requests = sent(&rig.gitlab, Endpoint::RequestJob);
    let positions: Vec<_> =
        requests.iter().map(|request| body(request).get("last_update").cloned()).collect();
    assert_eq!(positions.len(), 4);
    assert_eq!(positions[0], None);
    assert!(
        positions[1..].iter().all(|position| position.as_ref().is_some_and(Value::is_string)),
        "{positions:?}"
    );
    rig.end().await;
}

/// Two updates and what was printed, and nothing that GitLab did not ask for.
#[tokio::test(start_paused = true)]
async fn a_short_job_is_an_acknowledgement_its_log_and_its_end() {
    let rig = Rig::in_process();
    let running = rig.start(Fake::new().on("step_script", Act::exit(0).prints("words\n")));
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    rig.gitlab.finished(job).await;
    running.drain().await;

    let ask = &sent(&rig.gitlab, Endpoint::RequestJob)[0];
    assert!(text(&ask.headers, "runner-token").is_some_and(|token| token == body(ask)["token"]));
    let features = &body(ask)["info"]["features"];
    // There are no terminals yet, and none is promised.
    assert_eq!((features["session"].as_bool(), features["terminal"].as_bool()), (Some(false), Some(false)));
    assert_eq!(features["two_phase_job_commit"], true);
    assert_eq!(body(ask).get("session"), None);

    let updates = sent(&rig.gitlab, Endpoint::UpdateJob);
    let mut bodies: Vec<_> = updates.iter().map(body).collect();
    let token = bodies[0]["token"].clone();
    for body in &mut bodies {
        assert_eq!(body["info"]["features"]["trace_reset"], true, "the promises are in every update");
        body.as_object_mut().unwrap().remove("info");
    }
    let trace = rig.gitlab.with(|gitlab, _| gitlab.job(job).unwrap().trace.bytes().to_vec());
    let checksum = format!("crc32:{:08x}", crc32fast::hash(&trace));
    assert_eq!(
        bodies,
        [
            json!({ "token": token, "state": "running", "output": {} }),
            json!({
                "token": token, "state": "success", "checksum": checksum,
                "output": { "checksum": checksum, "bytesize": trace.len() },
            }),
        ]
    );

    let patches = sent(&rig.gitlab, Endpoint::PatchTrace);
    let mut end = 0;
    for patch in &patches {
        let last = end + patch.body.len() - 1;
        assert_eq!(text(&patch.headers, "content-range"), Some(format!("{end}-{last}").as_str()));
        assert_eq!(text(&patch.headers, "content-type"), Some("text/plain"));
        assert_eq!(patch.uri.query(), Some("debug_trace=false"));
        end = last + 1;
    }
    assert!(patches.len() <= 2, "{patches:?}");
    let mut ids = Vec::new();
    for request in updates.iter().chain(&patches).chain([ask]) {
        assert_eq!(text(&request.headers, "expect"), None);
        if request.endpoint != Some(Endpoint::RequestJob) {
            assert_eq!(text(&request.headers, "job-token"), token.as_str());
        }
        let id = text(&request.headers, "x-request-id").unwrap().to_owned();
        assert!(!ids.contains(&id), "{id} was used twice");
        ids.push(id);
    }
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_exit_code_is_sent_where_it_is_not_zero() {
    for (code, told) in [(0, None), (3, Some(json!(3)))] {
        let rig = Rig::in_process();
        let running = rig.start(Fake::new().on("step_script", Act::exit(code)));
        let job = rig.gitlab.enqueue(Payload::new(["true"]));
        rig.gitlab.finished(job).await;
        running.drain().await;
        let update = rig.gitlab.last_body(Endpoint::UpdateJob);
        assert_eq!(update.get("exit_code").cloned(), told);
        assert_eq!(update.get("failure_reason").is_some(), code != 0);
        rig.end().await;
    }
}
