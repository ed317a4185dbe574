//! Register, verify, unregister, reset the token, request a job: what is sent and what is made of the answers.

use std::time::Duration;

use bytes::Bytes;
use runner_api::retry::RetryPolicy;
use runner_api::transport::{Body, TransportErrorKind};
use runner_api::{
    JobAnswer, JobRefusal, JobRequest, RegisterRequest, RouterDiscovery, RunnerCredentials, RunnerToken,
};
use serde_json::json as value;

use crate::script::{Reply, Script, json, status, with};

fn credentials() -> RunnerCredentials {
    RunnerCredentials::new("glrt-secret").with_system_id("s_0123456789ab")
}

#[tokio::test]
async fn every_call_names_agent_and_request() {
    let script = Script::new([status(204), status(204)]);
    let client =
        script.builder().user_agent("gitlab-runner 19.4.0 (main; rust; linux/amd64)").build().unwrap();
    client.unregister(&RunnerToken::new("t")).await.unwrap();
    client.unregister_manager(&RunnerCredentials::new("t")).await.unwrap();
    let asked = script.asked();
    let ids: Vec<_> = asked.iter().map(|asked| asked.header("x-request-id").unwrap()).collect();
    assert!(ids.iter().all(|id| id.len() == 32), "{ids:?}");
    assert_ne!(ids[0], ids[1]);
    for (asked, path, body) in [
        (&asked[0], "runners", value!({"token": "t"})),
        (&asked[1], "runners/managers", value!({"token": "t", "system_id": ""})),
    ] {
        assert_eq!(asked.method, "DELETE");
        assert_eq!(asked.url, format!("https://gitlab.example.com/api/v4/{path}"));
        assert_eq!(asked.header("user-agent"), Some("gitlab-runner 19.4.0 (main; rust; linux/amd64)"));
        assert_eq!(asked.header("accept"), None);
        assert_eq!(asked.json(), body);
    }
}

#[tokio::test]
async fn an_assigned_job_is_not_lost() {
    // The announced type is wrong, the content is fine.
    let script = Script::new([with(
        201,
        &[("content-type", "text/html"), ("x-request-id", "server-id")],
        r#"{"id": 42, "token": "t"}"#,
    )]);
    let Ok(JobAnswer::Job(job)) = script.client().request_job(&JobRequest::new(credentials())).await else {
        panic!()
    };
    assert_eq!(job.correlation_id(), Some("server-id"));
    assert_eq!(job.warnings()[0].to_string(), "$: expected JSON, announced as text/html");

    // The content breaks off, but who it was for can still be told.
    let script = Script::new([json(201, r#"{"id": 42, "token": "t", "steps": ["#)]);
    let answer = script.client().request_job(&JobRequest::new(credentials())).await.unwrap();
    let JobAnswer::Unreadable(job) = answer else { panic!("{answer:?}") };
    assert_eq!((job.id(), job.token().unwrap().expose()), (Some(42), "t"));

    // The connection breaks instead: the same, or an error when too little has arrived.
    for (part, found) in [(r#"{"id": 42, "token": "t", "ste"#, true), (r#"{"id": 42, "tok"#, false)] {
        let pieces = [Ok(Bytes::from_static(part.as_bytes())), Err("reset".into())];
        let mut answer = http::Response::new(Body::stream(futures_util::stream::iter(pieces), None));
        *answer.status_mut() = http::StatusCode::CREATED;
        let script = Script::new([Reply::Answer(answer)]);
        match script.client().request_job(&JobRequest::new(credentials())).await {
            Ok(JobAnswer::Unreadable(job)) => assert!(found && job.id() == Some(42)),
            Err(error) => assert!(!found && error.is_transport(), "{error}"),
            Ok(other) => panic!("{other:?}"),
        }
    }

    let error = Script::new([json(201, "[]")])
        .client()
        .request_job(&JobRequest::new(credentials()))
        .await
        .unwrap_err();
    assert!(error.is_content() && !error.is_forbidden());
}

#[tokio::test]
async fn refusals_of_a_job_request_are_sorted() {
    use JobRefusal::*;
    let seven = Some(Duration::from_secs(7));
    for (reply, refusal, may_pass) in [
        (status(403), Forbidden, false),
        (status(409), Conflict, true),
        (status(422), Orphaned, true),
        (with(429, &[("retry-after", "7")], ""), RateLimited { retry_after: seven }, true),
        (with(503, &[("retry-after", "7")], ""), Unavailable { retry_after: seven }, true),
        (status(503), Unavailable { retry_after: None }, true),
        (status(500), Other, true),
        (status(501), Other, true),
        (status(413), Other, true),
        (json(201, "[]"), Other, true),
        (with(302, &[("location", "https://new.example.com/")], ""), Other, true),
        (Reply::Fail(TransportErrorKind::Connect), Unreachable, true),
        (Reply::Fail(TransportErrorKind::Timeout), Unreachable, true),
    ] {
        let script = Script::new([reply]);
        let client = script.client().with_retry(RetryPolicy::off());
        let error = client.request_job(&JobRequest::new(credentials())).await.unwrap_err();
        let found = JobRefusal::of(&error);
        assert_eq!((found, found.may_pass()), (refusal, may_pass), "{error}");
        assert_eq!(error.is_forbidden(), refusal == Forbidden);
        assert_eq!((error.is_conflict(), error.is_orphaned()), (refusal == Conflict, refusal == Orphaned));
        assert!(!error.is_configuration());
    }
    // What can never be sent is not sent.
    let script = Script::new([]);
    let unusable = JobRequest::new(RunnerCredentials::new("two\nlines"));
    let error = script.client().request_job(&unusable).await.unwrap_err();
    assert_eq!(JobRefusal::of(&error), Configuration);
}

#[tokio::test]
async fn the_job_router_is_found_or_not() {
    let token = RunnerToken::new("glrt-secret");
    let script = Script::new([json(200, r#"{"server_url": "wss://kas.example.com/x"}"#)]);
    let found = script.client().discover_router(&token).await.unwrap();
    assert_eq!(found, RouterDiscovery::At { server_url: "wss://kas.example.com/x".into() });
    let asked = script.one();
    assert_eq!(asked.method, "GET");
    assert_eq!(asked.url, "https://gitlab.example.com/api/v4/runners/router/discovery");
    assert_eq!(
        (asked.header("runner-token"), asked.header("accept")),
        (Some("glrt-secret"), Some("application/json"))
    );
    assert!(asked.body.is_empty());

    for (code, expected) in [(501, RouterDiscovery::NotEnabled), (404, RouterDiscovery::Unknown)] {
        let script = Script::new([status(code)]);
        assert_eq!(script.client().discover_router(&token).await.unwrap(), expected);
    }
    let error = Script::new([status(403)]).client().discover_router(&token).await.unwrap_err();
    assert!(error.is_forbidden());
    for body in
        [r#"{"server_url": "https://h"}"#, r#"{"server_url": null}"#, r#"{"server_url": "kas"}"#, "{}"]
    {
        let error = Script::new([json(200, body)]).client().discover_router(&token).await.unwrap_err();
        assert!(error.is_content(), "{error}");
    }
}

#[tokio::test]
async fn answers_have_limits() {
    let pieces = |count: usize| {
        let piece = Bytes::from(vec![b' '; 1 << 20]);
        let stream = futures_util::stream::iter((0..count).map(move |_| Ok(piece.clone())));
        let mut answer = http::Response::new(Body::stream(stream, None));
        answer.headers_mut().insert("content-type", "application/json".parse().unwrap());
        answer
    };
    // An error's text is not looked for in a flood.
    let mut answer = pieces(1 << 20);
    *answer.status_mut() = http::StatusCode::BAD_REQUEST;
    let error =
        Script::new([Reply::Answer(answer)]).client().unregister(&RunnerToken::new("t")).await.unwrap_err();
    assert_eq!((error.status().unwrap().as_u16(), error.server_message()), (400, None));
    // Neither is a token.
    let mut answer = pieces(1 << 20);
    *answer.status_mut() = http::StatusCode::CREATED;
    let error = Script::new([Reply::Answer(answer)])
        .client()
        .register(&RegisterRequest::new("GR1348941secret"))
        .await
        .unwrap_err();
    assert!(error.is_transport() && format!("{error:?}").contains("more than 1048576 bytes"), "{error:?}");
}
