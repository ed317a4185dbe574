//! B. Registering, verifying, removing a runner; new tokens.

use std::time::Duration;

use runner_api::transport::TransportErrorKind;
use runner_api::{RegisterRequest, RunnerCredentials, RunnerToken, SecretText};
use serde_json::json as value;

use crate::script::{Reply, Script, json, status, with};

fn credentials() -> RunnerCredentials {
    RunnerCredentials::new("glrt-secret").with_system_id("s_0123456789ab")
}

#[tokio::test]
async fn scenario_13_a_registration_sends_its_flags_always_and_tags_as_one_text() {
    let script = Script::new([json(201, r#"{"id": 7, "token": "glrt-new", "token_expires_at": null}"#)]);
    let mut request = RegisterRequest::new("GR1348941secret");
    request.tag_list = vec!["a".into(), "b".into()];
    request.maximum_timeout = Some(Duration::from_secs(3600));
    let registered = script.client().register(&request).await.unwrap();
    assert_eq!((registered.id, registered.token.expose()), (7, "glrt-new"));

    let asked = script.one();
    assert_eq!(
        (asked.method.as_str(), asked.url.as_str()),
        ("POST", "https://gitlab.example.com/api/v4/runners")
    );
    assert_eq!(asked.header("runner-token"), Some("GR1348941secret"));
    assert_eq!(asked.header("accept"), Some("application/json"));
    assert_eq!(asked.header("content-type"), Some("application/json"));
    let mut body = asked.json();
    assert_eq!(body["info"]["features"]["trace_checksum"], true);
    body.as_object_mut().unwrap().remove("info");
    assert_eq!(
        body,
        value!({
            "token": "GR1348941secret", "tag_list": "a,b", "run_untagged": true, "locked": true, "paused": false,
            "maximum_timeout": 3600
        })
    );

    // Without tags the runner takes jobs without tags.
    let script =
        Script::new([json(201, r#"{"id": 7, "token": "t", "token_expires_at": "2027-01-01T00:00:00Z"}"#)]);
    let mut request = RegisterRequest::new("GR1348941secret");
    request.description = "a runner".into();
    request.maintenance_note = "ask me".into();
    request.access_level = "ref_protected".into();
    (request.locked, request.paused) = (false, true);
    let registered = script.client().register(&request).await.unwrap();
    assert_eq!(registered.token_expires_at.as_deref(), Some("2027-01-01T00:00:00Z"));
    let mut body = script.one().json();
    body.as_object_mut().unwrap().remove("info");
    assert_eq!(
        body,
        value!({
            "token": "GR1348941secret", "description": "a runner", "maintenance_note": "ask me",
            "access_level": "ref_protected", "run_untagged": true, "locked": false, "paused": true
        })
    );
}

#[tokio::test]
async fn scenario_15_a_registration_needs_json_with_a_token() {
    for reply in [
        with(201, &[("content-type", "text/html")], r#"{"id": 7, "token": "t"}"#),
        json(201, "{}"),
        json(201, "x"),
        with(201, &[], r#"{"token": "t"}"#),
    ] {
        let error = Script::new([reply]).client().register(&RegisterRequest::new("r")).await.unwrap_err();
        assert!(error.is_content(), "{error}");
        assert_eq!(error.status().unwrap(), 201);
    }
    let script = Script::new([json(403, r#"{"message": "403 Forbidden - invalid token supplied"}"#)]);
    let error = script.client().register(&RegisterRequest::new("r")).await.unwrap_err();
    assert!(error.is_forbidden());
    assert_eq!(
        error.to_string(),
        "POST https://gitlab.example.com/api/v4/runners: 403 Forbidden (403 Forbidden - invalid token supplied)"
    );
}

#[tokio::test]
async fn scenario_19_a_plain_text_answer_to_a_verification_is_asked_for_once_more() {
    let script = Script::new([with(200, &[("content-type", "text/plain")], "200"), with(200, &[], "200")]);
    assert_eq!(script.client().verify(&credentials()).await.unwrap().id, 0);
    let asked = script.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!((asked[0].header("accept"), asked[1].header("accept")), (Some("application/json"), None));
    assert_eq!(asked[0].body, asked[1].body);

    // Only the second one counts then, and a JSON answer needs none.
    let script = Script::new([with(200, &[], "200"), status(403)]);
    assert!(script.client().verify(&credentials()).await.unwrap_err().is_forbidden());
    let script = Script::new([json(
        200,
        r#"{"id": 3, "token": "glrt-secret", "token_expires_at": "2027-01-01T00:00:00Z"}"#,
    )]);
    let verified = script.client().verify(&credentials()).await.unwrap();
    assert_eq!((verified.id, verified.token_expires_at.as_deref()), (3, Some("2027-01-01T00:00:00Z")));
    let body = script.one().json();
    assert_eq!((&body["token"], &body["system_id"]), (&value!("glrt-secret"), &value!("s_0123456789ab")));
    assert_eq!(body["info"]["features"]["cancel_gracefully"], true);
    for code in [403, 422, 400] {
        let script = Script::new([status(code)]);
        let error = script.client().verify(&credentials()).await.unwrap_err();
        assert_eq!((error.status().unwrap().as_u16(), error.is_forbidden()), (code, code == 403));
    }
}

#[tokio::test]
async fn scenario_21_a_verification_that_is_refused_a_connection_is_tried_twice() {
    let script =
        Script::new([Reply::Fail(TransportErrorKind::Connect), Reply::Fail(TransportErrorKind::Connect)]);
    let error = script.client().verify(&credentials()).await.unwrap_err();
    assert!(error.is_connect() && !error.is_forbidden());
    assert_eq!(script.asked().len(), 2);
}

#[tokio::test]
async fn scenario_23_a_token_is_reset_by_itself_or_by_id() {
    let fresh = r#"{"token": "glrt-2", "token_expires_at": "2027-01-01T00:00:00Z"}"#;
    let script = Script::new([json(201, fresh), json(201, fresh)]);
    let client = script.client();
    assert_eq!(client.reset_token(&RunnerToken::new("glrt-1")).await.unwrap().token.expose(), "glrt-2");
    client.reset_token_by_id(7, &SecretText::new("glpat-x")).await.unwrap();
    let asked = script.asked();
    assert!(asked[0].url.ends_with("/api/v4/runners/reset_authentication_token"));
    assert_eq!(asked[0].json(), value!({"token": "glrt-1"}));
    assert!(asked[1].url.ends_with("/api/v4/runners/7/reset_authentication_token"));
    assert_eq!((asked[1].header("private-token"), asked[1].header("runner-token")), (Some("glpat-x"), None));
    assert!(asked[1].body.is_empty());
    assert_eq!(asked[0].header("private-token"), None);
    assert!(!String::from_utf8_lossy(&asked[1].body).contains("glrt-"));

    // A refusal gives no token.
    let script = Script::new([status(403), status(403)]);
    assert!(script.client().reset_token(&RunnerToken::new("glrt-1")).await.unwrap_err().is_forbidden());
    assert!(script.client().reset_token_by_id(7, &SecretText::new("x")).await.unwrap_err().is_forbidden());
}
