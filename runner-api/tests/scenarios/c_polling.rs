//! C. Asking for jobs.

use std::time::Duration;

use runner_api::transport::TransportErrorKind;
use runner_api::{JobAnswer, JobRefusal, JobRequest, RunnerCredentials, RunnerInfo, SessionInfo};
use runner_coordinator::core::{Endpoint, Options};
use serde_json::json as value;
use tokio::time::Instant;

use crate::gitlab::GitLab;
use crate::script::{Reply, Script, json, status, with};

fn credentials() -> RunnerCredentials {
    RunnerCredentials::new("glrt-secret").with_system_id("s_0123456789ab")
}

#[tokio::test]
async fn scenario_27_the_queue_position_is_sent_until_there_is_a_new_one() {
    let script = Script::new([
        with(204, &[("x-gitlab-last-update", "A")], ""),
        status(204),
        with(204, &[("x-gitlab-last-update", "")], ""),
        json(201, r#"{"id": 42, "token": "glcbt-1"}"#),
        status(204),
    ]);
    let client = script.builder().info(RunnerInfo::new("gitlab-runner", "1.2.3")).build().unwrap();
    let mut request = JobRequest::new(credentials());
    for _ in 0..3 {
        assert!(matches!(client.request_job(&request).await, Ok(JobAnswer::NoJob)));
    }
    assert!(matches!(client.request_job(&request).await, Ok(JobAnswer::Job(job)) if job.id == 42));
    request.session = Some(SessionInfo::new("https://s", "pem", "auth"));
    client.clone().request_job(&request).await.unwrap();

    let asked = script.asked();
    let first = asked[0].json();
    assert_eq!(asked[0].url, "https://gitlab.example.com/api/v4/jobs/request");
    assert_eq!(asked[0].header("runner-token"), Some("glrt-secret"));
    assert_eq!((&first["info"]["version"], &first["token"]), (&value!("1.2.3"), &value!("glrt-secret")));
    assert_eq!((first.get("last_update"), first.get("session")), (None, None));
    for asked in &asked[1..] {
        assert_eq!(asked.json()["last_update"], "A");
    }
    let session = value!({"url": "https://s", "certificate": "pem", "authorization": "auth"});
    assert_eq!(asked[4].json()["session"], session);
}

#[tokio::test(start_paused = true)]
async fn scenario_29_a_held_request_is_waited_for_and_its_answer_is_no_news() {
    let gitlab = GitLab::new(Options::default());
    let (client, request) = (gitlab.client(), gitlab.request());
    client.request_job(&request).await.unwrap();
    let position = client.last_update().unwrap();

    // Nothing comes for 50 seconds.
    let started = Instant::now();
    assert!(matches!(client.request_job(&request).await, Ok(JobAnswer::NoJob)));
    assert_eq!(started.elapsed(), Duration::from_secs(50));
    assert_eq!(client.last_update(), Some(position));

    // Work ends the wait; the job is handed out to the next request.
    let asking = async {
        let answer = client.request_job(&request).await;
        (answer, started.elapsed())
    };
    let working = async {
        tokio::time::sleep(Duration::from_secs(7)).await;
        gitlab.enqueue(value!({}));
    };
    let ((answer, at), ()) = tokio::join!(asking, working);
    assert!(matches!(answer, Ok(JobAnswer::NoJob)));
    assert_eq!(at, Duration::from_secs(57));
    assert!(matches!(client.request_job(&request).await, Ok(JobAnswer::Job(_))));
}

#[tokio::test(start_paused = true)]
async fn scenario_31_no_trouble_of_the_server_keeps_a_runner_from_asking_again() {
    let mut replies = Vec::new();
    for _ in 0..3 {
        replies.extend((0..5).map(|_| status(500)));
        replies.extend([TransportErrorKind::Connect, TransportErrorKind::Timeout].map(Reply::Fail));
        replies.extend([status(409), status(422), status(501)]);
    }
    replies.push(json(201, r#"{"id": 1, "token": "t"}"#));
    let script = Script::new(replies);
    let client = script.client();
    let mut refusals = Vec::new();
    loop {
        match client.request_job(&JobRequest::new(credentials())).await {
            Ok(JobAnswer::Job(_)) => break,
            Ok(other) => panic!("{other:?}"),
            Err(error) => refusals.push(JobRefusal::of(&error)),
        }
    }
    assert_eq!(refusals.len(), 18);
    assert!(refusals.iter().all(|refusal| refusal.may_pass()), "{refusals:?}");
    // Only the 500s are repeated by the call itself.
    assert_eq!(script.asked().len(), 3 * (5 + 5) + 1);
}

#[tokio::test(start_paused = true)]
async fn scenario_35_a_job_of_nulls_is_a_job() {
    let gitlab = GitLab::new(Options::default());
    let payload = value!({
        "image": null, "services": null, "artifacts": null, "cache": null, "dependencies": null, "secrets": null,
        "hooks": null, "credentials": null, "inputs": null, "run": null, "features": null, "runner_info": null,
        "git_info": {"repo_url": null, "refspecs": null}, "job_info": {"name": "nulls", "project_id": null},
        "variables": [{"key": "A", "value": null, "public": null, "masked": null}, null],
        "steps": [{"name": "script", "script": ["true"], "timeout": null, "when": null, "allow_failure": null}]
    });
    let (job, at_gitlab) = gitlab.assign(payload).await;
    assert_eq!(job.job_info.name, "nulls");
    assert_eq!(job.steps[0].script, ["true"]);
    assert!(job.artifacts.is_empty() && job.dependencies.is_empty() && job.services.is_empty());
    assert!(matches!(at_gitlab.accept().await, runner_api::Acceptance::Accepted));
}

#[tokio::test(start_paused = true)]
async fn scenario_39_a_held_request_is_given_up_promptly() {
    let gitlab = GitLab::new(Options::default());
    let (client, request) = (gitlab.client(), gitlab.request());
    client.request_job(&request).await.unwrap();
    let started = Instant::now();
    tokio::select! {
        answer = client.request_job(&request) => panic!("{answer:?}"),
        () = tokio::time::sleep(Duration::from_secs(3)) => {}
    }
    assert_eq!(started.elapsed(), Duration::from_secs(3));
    // So is one to a server that says nothing at all.
    let silent = Script::new([Reply::Hang]);
    let client = silent.client();
    assert!(tokio::time::timeout(Duration::from_secs(3), client.request_job(&request)).await.is_err());
    assert_eq!(silent.asked().len(), 1);
    // Nothing else is sent, and no job goes to a runner that has left.
    let job = gitlab.enqueue(value!({}));
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(gitlab.count(Endpoint::RequestJob), 2);
    gitlab.with(|core, _| assert_eq!(core.job(job).unwrap().assigned_at, None));
}
