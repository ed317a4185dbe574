//! The calls below `runners`.

use std::time::Duration;

use http::StatusCode;
use runner_coordinator::core::{EventKind, LEGACY_SYSTEM_ID, NewRunner, Options, RunnerId};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::support::{Gitlab, message};

fn gitlab() -> Gitlab {
    let mut gitlab = Gitlab::new(Options::default());
    gitlab.core.register_token(SecretString::from("reg"));
    gitlab
}

#[test]
fn registration_keeps_what_was_asked() {
    let mut gitlab = gitlab();
    let answer = gitlab.call(
        "POST",
        "runners",
        json!({
            "token": "reg", "description": "mine", "maintenance_note": "note", "tag_list": "linux, fast,,",
            "run_untagged": false, "locked": true, "access_level": "ref_protected", "maximum_timeout": 600,
            "paused": true, "info": { "name": "gitlab-runner" },
        }),
    );
    assert_eq!(answer.status(), 201);
    let body = answer.json();
    assert_eq!(body["token_expires_at"], Value::Null);
    let id = RunnerId(body["id"].as_u64().unwrap());
    let runner = gitlab.core.runner(id).unwrap();
    assert_eq!(runner.token.expose_secret(), body["token"].as_str().unwrap());
    assert!(!runner.is_created());
    assert_eq!(runner.description, "mine");
    assert_eq!(runner.maintenance_note, "note");
    assert_eq!(Vec::from_iter(&runner.tags), ["fast", "linux"]);
    assert_eq!(
        (runner.run_untagged, runner.locked, runner.paused, runner.protected),
        (false, true, true, true)
    );
    assert_eq!(runner.maximum_timeout, Some(600));
    assert_eq!(gitlab.events(), [EventKind::RunnerRegistered { runner: id }]);
}

#[test]
fn registration_is_refused() {
    let mut gitlab = gitlab();
    let cases = [
        (json!({}), 400, json!({ "error": "token is missing" })),
        (json!({ "token": "other" }), 403, json!({ "message": "403 Forbidden - invalid token supplied" })),
        (
            json!({ "token": "reg", "run_untagged": false }),
            400,
            json!({ "message": {
                "tags_list": ["can not be empty when runner is not allowed to pick untagged jobs"]
            } }),
        ),
        (
            json!({ "token": "reg", "maximum_timeout": 599 }),
            400,
            json!({ "message": { "maximum_timeout": ["needs to be at least 10 minutes"] } }),
        ),
        (
            json!({ "token": "reg", "access_level": "x" }),
            400,
            json!({ "error": "access_level does not have a valid value" }),
        ),
    ];
    for (body, status, answer) in cases {
        assert_eq!(gitlab.call("POST", "runners", body).error(), (status, answer));
    }
    gitlab.core.options_mut().registration = false;
    let answer = gitlab.call("POST", "runners", json!({ "token": "reg" }));
    assert_eq!(answer.error(), (410, json!({ "message": "410 Gone - runner registration disallowed" })));
    assert_eq!(gitlab.core.runners().count(), 1);
    assert_eq!(gitlab.events(), []);
}

#[test]
fn verification_creates_and_updates_the_manager() {
    let mut gitlab = gitlab();
    let (token, runner) = (gitlab.token.clone(), gitlab.runner);
    let body = json!({ "token": token, "system_id": "s_1", "info": { "version": "19.4.0" } });
    let answer = gitlab.call("POST", "runners/verify", body);
    assert_eq!(answer.error(), (200, json!({ "id": runner.0, "token": token, "token_expires_at": null })));
    gitlab.pass(10);
    gitlab.call("POST", "runners/verify", json!({ "token": token, "system_id": "s_1" }));
    gitlab.call("POST", "runners/verify", json!({ "token": token }));
    let managers = &gitlab.core.runner(runner).unwrap().managers;
    assert_eq!(managers["s_1"].info["version"], "19.4.0", "kept when the next request has none");
    assert_eq!(managers["s_1"].contacted_at, gitlab.now);
    assert!(managers.contains_key(LEGACY_SYSTEM_ID));
    assert_eq!(
        gitlab.events(),
        ["s_1", LEGACY_SYSTEM_ID]
            .map(|system_id| EventKind::ManagerCreated { runner, system_id: system_id.to_owned() })
    );
}

#[test]
fn the_token_may_come_in_the_header_but_the_body_wins() {
    let mut gitlab = gitlab();
    let token = gitlab.token.clone();
    let mut verify = |header: &str, body: Value| {
        let body = body.to_string().into();
        gitlab.call_with("POST", "runners/verify", &[("RUNNER-TOKEN", header)], body).status()
    };
    assert_eq!(verify(&token, json!({})), 200);
    assert_eq!(verify(&token, json!({ "token": "other" })), 403);
    assert_eq!(verify("other", json!({ "token": token })), 200);
}

#[test]
fn verification_is_refused() {
    let mut gitlab = gitlab();
    let expires = gitlab.now + Duration::from_secs(60);
    let new = NewRunner { token_expires_at: Some(expires), ..NewRunner::default() };
    let token = gitlab.core.create_runner(new).token.expose_secret().to_owned();
    let answer = gitlab.call("POST", "runners/verify", json!({ "token": token }));
    assert_eq!(answer.json()["token_expires_at"], "2023-11-14T22:14:20.000Z");
    gitlab.pass(60);
    let answer = gitlab.call("POST", "runners/verify", json!({ "token": token }));
    assert_eq!(answer.error(), message(StatusCode::FORBIDDEN));
    assert_eq!(gitlab.call("POST", "runners/verify", json!({ "token": "x" })).status(), 403);
    assert_eq!(
        gitlab.call("POST", "runners/verify", json!({})).error(),
        (400, json!({ "error": "token is missing" }))
    );
}

#[test]
fn a_runner_deletes_itself() {
    let mut gitlab = gitlab();
    let (token, runner) = (gitlab.token.clone(), gitlab.runner);
    assert_eq!(gitlab.call("DELETE", "runners", json!({ "token": "x" })).status(), 403);
    let answer = gitlab.call("DELETE", "runners", json!({ "token": token }));
    assert_eq!((answer.status(), answer.bytes().len()), (204, 0));
    assert_eq!(gitlab.call("DELETE", "runners", json!({ "token": token })).status(), 403);
    assert_eq!(gitlab.events(), [EventKind::RunnerUnregistered { runner }]);
}

#[test]
fn a_manager_deletes_itself_and_leaves_the_runner() {
    let mut gitlab = gitlab();
    let (token, runner) = (gitlab.token.clone(), gitlab.runner);
    gitlab.call("POST", "runners/verify", json!({ "token": token, "system_id": "s_1" }));
    for (body, status, answer) in [
        (json!({}), 400, json!({ "error": "token is missing, system_id is missing" })),
        (json!({ "token": token }), 400, json!({ "error": "system_id is missing" })),
        (json!({ "token": "x", "system_id": "s_1" }), 403, json!({ "message": "403 Forbidden" })),
        (json!({ "token": token, "system_id": "s_2" }), 404, json!({ "message": "404 Not Found" })),
    ] {
        assert_eq!(gitlab.call("DELETE", "runners/managers", body).error(), (status, answer));
    }
    gitlab.events();
    let body = json!({ "token": token, "system_id": "s_1" });
    assert_eq!(gitlab.call("DELETE", "runners/managers", body).status(), 204);
    assert_eq!(gitlab.events(), [EventKind::ManagerDeleted { runner, system_id: "s_1".to_owned() }]);
    assert!(gitlab.core.runner(runner).unwrap().managers.is_empty());
    assert_eq!(gitlab.call("POST", "runners/verify", json!({ "token": token })).status(), 200);
}

#[test]
fn a_token_is_reset_with_itself() {
    let mut gitlab = gitlab();
    let token = gitlab.token.clone();
    gitlab.core.set_token_lifetime(Some(Duration::from_secs(3600)));
    let answer = gitlab.call("POST", "runners/reset_authentication_token", json!({ "token": token }));
    assert_eq!(answer.status(), 201);
    let body = answer.json();
    let new = body["token"].as_str().unwrap();
    assert!(new.starts_with("glrt-") && new != token);
    assert_eq!(body, json!({ "token": new, "token_expires_at": "2023-11-14T23:13:20.000Z" }));
    let mut reset = |token: &str| {
        gitlab.call("POST", "runners/reset_authentication_token", json!({ "token": token })).status()
    };
    assert_eq!((reset(&token), reset(new)), (403, 201));
}

#[test]
fn a_token_is_reset_with_a_personal_one() {
    let mut gitlab = gitlab();
    gitlab.core.personal_token(SecretString::from("glpat-a"));
    let path = format!("runners/{}/reset_authentication_token", gitlab.runner);
    let mut reset = |path: &str, token: &str| {
        gitlab.call_with("POST", path, &[("PRIVATE-TOKEN", token)], "null".into()).status()
    };
    assert_eq!(reset(&path, "glpat-b"), 401);
    assert_eq!(reset("runners/99/reset_authentication_token", "glpat-a"), 404);
    assert_eq!(reset(&path, "glpat-a"), 201);
    let old = gitlab.token.clone();
    assert_eq!(gitlab.call("POST", "runners/verify", json!({ "token": old })).status(), 403);
}

#[test]
fn there_is_no_job_router() {
    let mut gitlab = gitlab();
    let token = gitlab.token.clone();
    let mut discover = |token: &str| {
        gitlab.call_with("GET", "runners/router/discovery", &[("RUNNER-TOKEN", token)], "".into()).status()
    };
    assert_eq!((discover(&token), discover("x")), (501, 403));
}

#[test]
fn requests_that_are_none() {
    let mut gitlab = gitlab();
    assert_eq!(
        gitlab.call("GET", "jobs/request", json!({})).error(),
        message(StatusCode::METHOD_NOT_ALLOWED)
    );
    assert_eq!(gitlab.call("GET", "projects", json!({})).error(), message(StatusCode::NOT_FOUND));
    for body in ["[1]", "{", "text"] {
        assert_eq!(gitlab.call_with("POST", "runners/verify", &[], body.into()).status(), 400, "{body}");
    }
}

#[test]
fn debug_output_shows_no_token() {
    let mut gitlab = Gitlab::new(Options { record_requests: true, ..Options::default() });
    gitlab.core.register_token(SecretString::from("reg-secret"));
    gitlab.core.personal_token(SecretString::from("glpat-secret"));
    let job = gitlab.enqueue(json!({}));
    let answer = gitlab.request_with(json!({}));
    let text = format!("{:?} {:?}", gitlab.core, answer.0);
    let job_token = gitlab.job(job).token.expose_secret();
    for secret in [gitlab.token.as_str(), job_token, "reg-secret", "glpat-secret"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[test]
fn validation_names_every_field() {
    let mut gitlab = gitlab();
    let tags: Vec<String> = (0..51).map(|number| format!("t{number}")).collect();
    let note = "é".repeat(1025);
    let body =
        json!({ "token": "reg", "tag_list": tags.join(","), "maximum_timeout": 1, "maintenance_note": note });
    let problems = json!({ "message": {
        "maintenance_note": ["is too long (maximum is 1024 characters)"],
        "maximum_timeout": ["needs to be at least 10 minutes"],
        "tags_list": ["Too many tags specified. Please limit the number of tags to 50"],
    } });
    assert_eq!(gitlab.call("POST", "runners", body).error(), (400, problems));
    let body = json!({ "token": "reg", "active": true, "paused": false });
    let problem = json!({ "error": "active, paused are mutually exclusive" });
    assert_eq!(gitlab.call("POST", "runners", body).error(), (400, problem));
}

#[test]
fn older_names_of_parameters() {
    let mut gitlab = gitlab();
    let body = json!({ "token": "reg", "active": false, "maintainer_note": "old" });
    let id = RunnerId(gitlab.call("POST", "runners", body).json()["id"].as_u64().unwrap());
    let runner = gitlab.core.runner(id).unwrap();
    assert_eq!((runner.paused, runner.maintenance_note.as_str()), (true, "old"));
}

#[test]
fn a_runner_without_owner_is_unprocessable() {
    let mut gitlab = gitlab();
    let token = gitlab.token.clone();
    gitlab.enqueue(json!({}));
    gitlab.core.orphan(gitlab.runner);
    for path in ["runners/verify", "jobs/request"] {
        let answer = gitlab.call("POST", path, json!({ "token": token }));
        assert_eq!(answer.error(), (422, json!({ "message": "Runner is orphaned" })), "{path}");
    }
    assert_eq!(gitlab.call("DELETE", "runners", json!({ "token": token })).status(), 204);
}

#[test]
fn the_old_token_may_have_a_grace() {
    let mut gitlab = Gitlab::new(Options { token_grace: Duration::from_secs(60), ..Options::default() });
    let old = gitlab.token.clone();
    gitlab.core.set_token_lifetime(Some(Duration::from_secs(3600)));
    let answer = gitlab.call("POST", "runners/reset_authentication_token", json!({ "token": old }));
    let new = answer.json()["token"].as_str().unwrap().to_owned();
    let verify = |gitlab: &mut Gitlab, token: &str| {
        gitlab.call("POST", "runners/verify", json!({ "token": token })).status()
    };
    gitlab.pass(59);
    assert_eq!((verify(&mut gitlab, &old), verify(&mut gitlab, &new)), (200, 200));
    gitlab.pass(1);
    assert_eq!((verify(&mut gitlab, &old), verify(&mut gitlab, &new)), (403, 200));
    // The new one ends with its lifetime, and cannot reset itself then.
    gitlab.pass(3540);
    assert_eq!(verify(&mut gitlab, &new), 403);
    let answer = gitlab.call("POST", "runners/reset_authentication_token", json!({ "token": new }));
    assert_eq!(answer.status(), 403);
}

#[test]
fn there_may_be_a_job_router() {
    let router_url = Some("wss://kas.example.com".to_owned());
    let mut gitlab = Gitlab::new(Options { router_url, ..Options::default() });
    let token = gitlab.token.clone();
    let answer = gitlab.call_with("GET", "runners/router/discovery", &[("RUNNER-TOKEN", &token)], "".into());
    assert_eq!(answer.error(), (200, json!({ "server_url": "wss://kas.example.com" })));
}
