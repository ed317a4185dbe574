//! A whole payload is understood, and no value in any field loses the job.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// One payload with every field that this version knows.
fn full() -> Value {
    json!({
        "id": 42, "token": "glcbt-secret", "allow_git_fetch": true,
        "job_info": {
            "id": 42, "name": "build", "stage": "test", "pipeline_id": 9, "project_id": 7, "project_name": "p",
            "project_full_path": "g/p", "namespace_id": 3, "root_namespace_id": 2, "organization_id": 1,
            "instance_id": "i", "instance_uuid": "u", "user_id": 5, "scoped_user_id": null,
            "time_in_queue_seconds": 1.5, "project_jobs_running_on_instance_runners_count": "+Inf",
            "queue_size": 4, "queue_depth": 1
        },
        "git_info": {
            "repo_url": "https://gitlab-ci-token:secret@h/g/p.git", "repo_object_format": "sha256", "ref": "main",
            "sha": "abc", "before_sha": "000", "ref_type": "branch", "refspecs": ["+refs/heads/main:refs/x"],
            "depth": 20, "protected": true
        },
        "runner_info": {"timeout": 3600, "uuid": "r"},
        "inputs": [{"key": "n", "value": {"type": "array", "content": [1], "sensitive": true}}],
        "variables": [{"key": "CI", "value": "true", "public": true, "masked": false, "file": false, "raw": true}],
        "steps": [
            {"name": "script", "script": ["a", "b"], "timeout": 3600, "when": "on_success", "allow_failure": false},
            {"name": "after_script", "script": ["c"], "timeout": 3600, "when": "always", "allow_failure": true}
        ],
        "image": {
            "name": "alpine", "alias": null, "entrypoint": ["sh"], "command": ["-c"],
            "ports": [{"number": 80, "protocol": "http", "name": "web"}], "variables": [{"key": "A", "value": "b"}],
            "pull_policy": ["never"],
            "executor_opts": {"docker": {"platform": "arm64", "user": "u"}, "kubernetes": {"user": 1000}}
        },
        "services": [{"name": "redis", "alias": "cache db"}],
        "artifacts": [{
            "name": "n", "untracked": true, "paths": ["p"], "exclude": ["e"], "when": "always",
            "artifact_type": "archive", "artifact_format": "zip", "expire_in": "1 week"
        }],
        "cache": [{
            "key": "k", "untracked": false, "policy": "push", "paths": ["c"], "when": "on_failure", "fallback_keys": ["f"]
        }],
        "credentials": [{"type": "registry", "url": "r", "username": "u", "password": "secret"}],
        "dependencies": [{"id": 1, "token": "secret", "name": "d", "artifacts_file": {"filename": "a.zip", "size": 3}}],
        "features": {
            "trace_sections": true, "token_mask_prefixes": ["x-"], "failure_reasons": ["script_failure", "new_one"],
            "tracing": {
                "trace_id": "t", "span_parent_id": "s",
                "otel_endpoints": [{
                    "url": "grpc://h",
                    "auth": {"type": "http_bearer_gcp_oidc", "http_bearer_gcp_oidc": {"audience": "a"}}
                }]
            }
        },
        "secrets": {"S": {
            "vault": {
                "server": {"url": "v", "namespace": "n", "auth": {"name": "jwt", "path": "p", "data": {"jwt": "secret"}}},
                "engine": {"name": "kv", "path": "e"}, "path": "q", "field": "f"
            },
            "gcp_secret_manager": {"name": "g", "server": {"project_number": 12, "jwt": "secret"}},
            "azure_key_vault": {"name": "a", "server": {"tenant_id": "t", "jwt": "secret"}},
            "aws_secrets_manager": {"secret_id": "i", "server": {"region": "r", "jwt": "secret"}},
            "gitlab_secrets_manager": {"server": {"url": "g", "inline_auth": {"jwt": "secret", "role": "r"}}},
            "file": false
        }},
        "hooks": [{"name": "pre_get_sources_script", "script": ["h"]}],
        "run": "[{\"name\":\"s\"}]",
        "policy_options": {
            "execution_policy_job": true, "policy_name": "p", "policy_variables_override_allowed": false,
            "policy_variables_override_exceptions": ["V"]
        },
        "suspend_options": {"suspend_on_success": true, "suspend_on_failure": false, "runtime_environment_key": "k"}
    })
}

#[test]
fn every_field_is_understood() {
    let job = Job::from_json(full().to_string()).unwrap();
    assert_eq!(job.warnings(), []);
    assert_eq!((job.id, job.token.expose(), job.allow_git_fetch), (42, "glcbt-secret", true));
    assert_eq!(job.job_info.project_jobs_running_on_instance_runners_count, "+Inf");
    assert_eq!((job.job_info.time_in_queue_seconds, job.job_info.scoped_user_id), (1.5, None));
    assert_eq!(job.git_info.ref_name, "main");
    assert_eq!(job.git_info.repo_object_format, Some(ObjectFormat::Sha256));
    assert_eq!(job.git_info.protected, Some(true));
    assert_eq!(job.runner_info.job_timeout().as_secs(), 3600);
    assert_eq!(job.inputs[0].value.content, json!([1]));
    assert!(job.variables[0].raw);
    assert_eq!(job.steps[1].name, StepName::AfterScript);
    assert_eq!(job.steps[1].when, Some(When::Always));
    let image = job.image.as_ref().unwrap();
    assert_eq!((image.alias.as_str(), image.ports[0].number), ("", 80));
    assert_eq!(image.executor_opts.docker.platform, "arm64");
    assert_eq!(image.executor_opts.kubernetes.user, "1000");
    assert_eq!(image.executor_opts.unknown, Vec::<String>::new());
    assert_eq!(job.services[0].alias, "cache db");
    assert_eq!(job.artifacts[0].artifact_format, Some(ArtifactFormat::Zip));
    assert_eq!(job.cache[0].fallback_keys, ["f"]);
    assert_eq!(job.dependencies[0].artifacts_file.as_ref().unwrap().size, 3);
    assert_eq!(job.features.failure_reasons[1].as_str(), "new_one");
    let tracing = job.features.tracing.as_ref().unwrap();
    assert_eq!(tracing.otel_endpoints[0].auth.as_ref().unwrap().gcp_oidc_audience, "a");
    let secret = &job.secrets["S"];
    assert!(!secret.is_file());
    assert_eq!(secret.vault.as_ref().unwrap().server.auth.data["jwt"].expose(), "secret");
    assert_eq!(secret.gcp_secret_manager.as_ref().unwrap().server.project_number, "12");
    assert_eq!(secret.gitlab_secrets_manager.as_ref().unwrap().server.inline_auth.role, "r");
    assert_eq!(job.hooks[0].script, ["h"]);
    assert_eq!(job.run.as_deref(), Some("[{\"name\":\"s\"}]"));
    assert_eq!(job.policy_options.as_ref().unwrap().policy_variables_override_exceptions, ["V"]);
    assert!(job.suspend_options.as_ref().unwrap().suspend_on_success);
}

#[test]
fn debug_shows_no_secret() {
    let job = Job::from_json(full().to_string()).unwrap();
    for shown in [
        format!("{job:?}"),
        format!("{:?}", job.credentials),
        format!("{:?}", job.dependencies),
        format!("{:?}", job.secrets),
        format!("{:?}", job.git_info),
        format!("{:?}", Job::from_json(r#"{"id": 1, "token": "secret""#).unwrap_err()),
    ] {
        assert!(
            !shown.contains("secret-") && !shown.contains("\"secret\"") && !shown.contains(":secret@"),
            "{shown}"
        );
    }
}

#[test]
fn null_everywhere_is_absent_everywhere() {
    let mut payload = full();
    for (key, value) in payload.as_object_mut().unwrap() {
        if key != "id" && key != "token" {
            *value = Value::Null;
        }
    }
    let job = Job::from_json(payload.to_string()).unwrap();
    assert_eq!(job.warnings(), []);
    assert!(job.steps.is_empty() && job.image.is_none() && job.suspend_options.is_none());

    let inner = r#"{"id": 1, "token": "t", "steps": [{"name": "script", "script": null, "when": null}, null],
        "image": {"name": "a", "pull_policy": null, "executor_opts": null, "variables": null},
        "services": [{"name": "s", "alias": null}], "git_info": {"protected": null, "refspecs": null}}"#;
    let job = Job::from_json(inner).unwrap();
    assert_eq!(job.warnings(), []);
    assert_eq!(job.steps.len(), 1);
}

#[test]
fn one_wrong_field_costs_that_field() {
    let json = r#"{"id": "7", "token": "t", "git_info": [], "steps": [{"name": "script", "script": ["a", {}]}],
        "variables": [{"key": "A", "value": 3}, "B", {"key": "C", "value": {}}], "unknown": {"x": 1}}"#;
    let job = Job::from_json(json).unwrap();
    let warnings: Vec<_> = job.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "$.git_info: expected an object, found a list",
            "$.variables[1]: expected an object, found a text",
            "$.variables[2].value: expected a text, found an object",
            "$.steps[0].script[1]: expected a text, found an object",
        ]
    );
    assert_eq!((job.id, job.variable("A"), job.variable("C")), (7, Some("3"), Some("")));
    assert!(job.raw().contains("unknown"));
}

#[test]
fn a_journaled_job_is_the_same_job() {
    let text = full().to_string();
    let job = Job::from_json(text.clone()).unwrap().with_correlation_id("c0ffee".to_owned());
    let again: Job = serde_json::from_str(&serde_json::to_string(&job).unwrap()).unwrap();
    assert_eq!(again.raw(), text);
    assert_eq!(again.correlation_id(), Some("c0ffee"));
    assert_eq!(again.steps, job.steps);
    assert!(serde_json::from_str::<Job>(r#"{"payload": {"id": 1}}"#).is_err());
}

/// Any JSON value, nested a few levels.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let key =
            prop_oneof![".{0,6}", Just("name".to_owned()), Just("value".to_owned()), Just("file".to_owned())];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// The address of every value in a payload.
fn pointers(value: &Value, here: &str, all: &mut Vec<String>) {
    if !here.is_empty() {
        all.push(here.to_owned());
    }
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                pointers(value, &format!("{here}/{key}"), all);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointers(item, &format!("{here}/{index}"), all);
            }
        }
        _ => {}
    }
}

fn any_pointer() -> impl Strategy<Value = String> {
    let mut all = Vec::new();
    pointers(&full(), "", &mut all);
    all.retain(|pointer| pointer != "/id" && pointer != "/token");
    prop::sample::select(all)
}

proptest! {
    #[test]
    fn no_value_in_any_field_loses_the_job(changes in prop::collection::vec((any_pointer(), any_json()), 1..4)) {
        let mut payload = full();
        for (pointer, value) in changes {
            if let Some(place) = payload.pointer_mut(&pointer) {
                *place = value;
            }
        }
        let job = Job::from_json(payload.to_string()).unwrap();
        prop_assert_eq!((job.id, job.token.expose()), (42, "glcbt-secret"));
        prop_assert!(job.warnings().iter().all(|warning| warning.path().starts_with("$.")));
    }

    #[test]
    fn a_payload_cut_anywhere_keeps_what_came_before(cut in 0usize..2000) {
        let text = full().to_string();
        let cut = text.floor_char_boundary(cut.min(text.len() - 1));
        let broken = Job::from_json(&text[..cut]).unwrap_err();
        // Keys are sorted, so the id is behind many other fields.
        let id_at = text.find("\"id\":42,\"image\"").unwrap() + "\"id\":42,".len();
        prop_assert_eq!(broken.id(), (cut >= id_at).then_some(42));
        prop_assert_eq!(broken.raw().expose(), &text[..cut]);
    }
}
