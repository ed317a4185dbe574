//! Every field is understood, and typed as it should be.

use runner_api::Job;
use runner_api::payload::*;
use serde_json::{Value, json};

use super::{FULL, full};

#[test]
fn every_field_is_typed() {
    let job = Job::from_json(FULL).unwrap();
    assert_eq!((job.warnings(), job.unknown_fields()), (&[][..], &[][..]));
    assert_eq!((job.id, job.token.expose(), job.allow_git_fetch), (42, "glcbt-secret", true));

    let info = &job.job_info;
    assert_eq!((info.id, info.name.as_str(), info.stage.as_str()), (Some(42), "build", "test"));
    assert_eq!((info.pipeline_id, info.project_id, info.namespace_id, info.root_namespace_id), (9, 7, 3, 2));
    assert_eq!((info.project_name.as_str(), info.project_full_path.as_str()), ("p", "g/p"));
    assert_eq!((info.organization_id, info.instance_id.as_str(), info.instance_uuid.as_str()), (1, "i", "u"));
    assert_eq!((info.user_id, info.scoped_user_id, info.time_in_queue_seconds), (5, Some(6), 1.5));
    assert_eq!(info.project_jobs_running_on_instance_runners_count, "+Inf");
    assert_eq!((info.queue_size, info.queue_depth), (4, 1));

    let git = &job.git_info;
    assert_eq!(git.repo_url, "https://gitlab-ci-token:secret@h/g/p.git");
    assert_eq!(
        (&git.repo_object_format, &git.ref_type),
        (&Some(ObjectFormat::Sha256), &Some(RefType::Branch))
    );
    assert_eq!((git.ref_name.as_str(), git.sha.as_str(), git.before_sha.as_str()), ("main", "abc", "000"));
    assert_eq!((git.refspecs.len(), git.depth, git.protected), (1, 20, Some(true)));

    assert_eq!((job.runner_info.timeout, job.runner_info.uuid.as_str()), (3600, "r"));
    assert_eq!(job.runner_info.job_timeout().as_secs(), 3600);

    let input = &job.inputs[0];
    assert_eq!((input.key.as_str(), &input.value.kind), ("n", &Some(InputKind::Array)));
    assert_eq!((&input.value.content, input.value.sensitive), (&json!([1]), true));
    assert_eq!(job.inputs[1].value.kind, Some(InputKind::Other("version".to_owned())));

    let flags = |v: &JobVariable| (v.public, v.masked, v.file, v.raw);
    assert_eq!((job.variables[0].key.as_str(), flags(&job.variables[0])), ("CI", (true, false, false, true)));
    assert_eq!(
        (job.variable("PASSWORD"), flags(&job.variables[1])),
        (Some("secret-value"), (false, true, true, false))
    );

    let names: Vec<_> = job.steps.iter().map(|step| &step.name).collect();
    assert_eq!(names, [&StepName::Script, &StepName::Release, &StepName::AfterScript]);
    let after = &job.steps[2];
    assert_eq!((after.script.as_slice(), after.timeout), (&["c".to_owned()][..], 300));
    assert_eq!((&after.when, after.allow_failure), (&Some(When::Always), true));

    let image = job.image.as_ref().unwrap();
    assert_eq!((image.name.as_str(), image.alias.as_str()), ("alpine", "box"));
    assert_eq!((&image.entrypoint[..], &image.command[..]), (&["sh".to_owned()][..], &["-c".to_owned()][..]));
    let port = &image.ports[0];
    assert_eq!((port.number, port.protocol.as_str(), port.name.as_str()), (80, "http", "web"));
    assert_eq!((image.variables[0].key.as_str(), image.variables[0].value.as_str()), ("A", "b"));
    assert_eq!(image.pull_policy, [PullPolicy::Never, PullPolicy::Always]);
    let options = &image.executor_opts;
    assert_eq!((options.docker.platform.as_str(), options.docker.user.as_str()), ("arm64", "u"));
    assert_eq!((options.kubernetes.user.as_str(), options.unknown.len()), ("1000", 0));

    let service = &job.services[0];
    assert_eq!(
        (service.name.as_str(), service.alias.as_str(), service.command.len()),
        ("redis", "cache db", 2)
    );
    assert_eq!(
        (service.executor_opts.docker.user.as_str(), service.executor_opts.kubernetes.user.as_str()),
        ("5", "5:6")
    );

    let artifacts = &job.artifacts[0];
    assert_eq!(
        (artifacts.name.as_str(), artifacts.untracked, &artifacts.when),
        ("n", true, &Some(When::Always))
    );
    assert_eq!((&artifacts.paths[0][..], &artifacts.exclude[0][..]), ("p", "e"));
    assert_eq!((artifacts.artifact_type.as_str(), artifacts.expire_in.as_str()), ("archive", "1 week"));
    assert_eq!(artifacts.artifact_format, Some(ArtifactFormat::Zip));

    let cache = &job.cache[0];
    assert_eq!((cache.key.as_str(), cache.untracked, &cache.policy), ("k", true, &Some(CachePolicy::Push)));
    assert_eq!(
        (&cache.paths[0][..], &cache.when, &cache.fallback_keys[0][..]),
        ("c", &Some(When::OnFailure), "f")
    );

    let credentials = &job.credentials[0];
    assert_eq!((credentials.kind.as_str(), credentials.url.as_str()), ("registry", "r.example.com"));
    assert_eq!(credentials.username, "u");
    assert_eq!(credentials.password.as_ref().unwrap().expose(), "secret");

    let dependency = &job.dependencies[0];
    assert_eq!((dependency.id, dependency.name.as_str(), dependency.has_artifacts()), (1, "d", true));
    assert_eq!(dependency.token.as_ref().unwrap().expose(), "secret");
    let file = dependency.artifacts_file.as_ref().unwrap();
    assert_eq!((file.filename.as_str(), file.size), ("a.zip", 3));

    assert_eq!((job.features.trace_sections, &job.features.token_mask_prefixes[0][..]), (true, "x-"));
    assert_eq!(job.features.failure_reasons[1].as_str(), "new_one");
    let tracing = job.features.tracing.as_ref().unwrap();
    assert_eq!((tracing.trace_id.as_str(), tracing.span_parent_id.as_str()), ("t", "s"));
    assert_eq!(tracing.otel_endpoints[0].url, "grpc://h");
    let auth = tracing.otel_endpoints[0].auth.as_ref().unwrap();
    assert_eq!((auth.kind.as_str(), auth.gcp_oidc_audience.as_str()), ("http_bearer_gcp_oidc", "a"));

    assert_eq!((&job.hooks[0].name, &job.hooks[0].script[0][..]), (&HookName::PreGetSources, "h"));
    assert_eq!(job.hooks[1].name, HookName::PostGetSources);
    assert_eq!(job.run.as_deref(), Some("[{\"name\":\"s\"}]"));
    let policy = job.policy_options.as_ref().unwrap();
    assert_eq!((policy.execution_policy_job, policy.policy_name.as_str()), (true, "p"));
    assert_eq!(policy.policy_variables_override_allowed, Some(false));
    assert_eq!(policy.policy_variables_override_exceptions, ["V"]);
    let suspend = job.suspend_options.as_ref().unwrap();
    assert!(suspend.suspend_on_success && suspend.suspend_on_failure);
    assert_eq!(suspend.runtime_environment_key, "k");
}

#[test]
fn every_field_of_secrets_is_typed() {
    let job = Job::from_json(FULL).unwrap();
    let secret = &job.secrets["S"];
    assert!(!secret.is_file() && job.secrets["G"].is_file());
    let vault = secret.vault.as_ref().unwrap();
    assert_eq!((vault.path.as_str(), vault.field.as_str()), ("q", "f"));
    assert_eq!((vault.engine.name.as_str(), vault.engine.path.as_str()), ("kv", "e"));
    assert_eq!((vault.server.url.as_str(), vault.server.namespace.as_str()), ("v", "n"));
    assert_eq!((vault.server.auth.name.as_str(), vault.server.auth.path.as_str()), ("jwt", "p"));
    assert_eq!(vault.server.auth.data["jwt"].expose(), "secret");

    let gcp = job.secrets["G"].gcp_secret_manager.as_ref().unwrap();
    assert_eq!((gcp.name.as_str(), gcp.version.as_str(), gcp.server.jwt.expose()), ("g", "latest", "secret"));
    assert_eq!(gcp.server.project_number, "12");
    assert_eq!(gcp.server.workload_identity_federation_pool_id, "pool");
    assert_eq!(gcp.server.workload_identity_federation_provider_id, "provider");

    let azure = job.secrets["Z"].azure_key_vault.as_ref().unwrap();
    assert_eq!(
        (azure.name.as_str(), azure.version.as_str(), azure.server.jwt.expose()),
        ("a", "1", "secret")
    );
    assert_eq!((azure.server.client_id.as_str(), azure.server.tenant_id.as_str()), ("c", "t"));
    assert_eq!(azure.server.url, "https://vault");

    let aws = job.secrets["A"].aws_secrets_manager.as_ref().unwrap();
    assert_eq!(
        (aws.secret_id.as_str(), aws.version_id.as_str(), aws.version_stage.as_str()),
        ("i", "v", "s")
    );
    assert_eq!((aws.field.as_str(), aws.region.as_str(), aws.role_arn.as_str()), ("f", "eu", "arn:1"));
    assert_eq!((aws.role_session_name.as_str(), aws.server.role_session_name.as_str()), ("session", "other"));
    assert_eq!((aws.server.region.as_str(), aws.server.role_arn.as_str()), ("us", "arn:2"));
    assert_eq!(aws.server.jwt.expose(), "secret");

    let gitlab = job.secrets["L"].gitlab_secrets_manager.as_ref().unwrap();
    assert_eq!((gitlab.path.as_str(), gitlab.field.as_str()), ("q", "f"));
    assert_eq!((gitlab.engine.name.as_str(), gitlab.engine.path.as_str()), ("kv", "e"));
    assert_eq!(gitlab.server.url, "https://bao");
    let auth = &gitlab.server.inline_auth;
    assert_eq!((auth.path.as_str(), auth.role.as_str(), auth.auth_mount.as_str()), ("auth", "r", "m"));
    assert_eq!(auth.jwt.expose(), "secret");
}

#[test]
fn unknown_values_of_enumerations_are_carried() {
    let mut payload = full();
    for pointer in [
        "/git_info/ref_type",
        "/git_info/repo_object_format",
        "/steps/0/name",
        "/steps/0/when",
        "/image/pull_policy/0",
        "/artifacts/0/when",
        "/artifacts/0/artifact_format",
        "/cache/0/policy",
        "/hooks/0/name",
        "/inputs/0/value/type",
        "/features/failure_reasons/0",
    ] {
        *payload.pointer_mut(pointer).unwrap() = json!("brand-new");
    }
    let job = Job::from_json(payload.to_string()).unwrap();
    assert_eq!(job.warnings(), []);
    let carried = [
        job.git_info.ref_type.as_ref().unwrap().as_str(),
        job.git_info.repo_object_format.as_ref().unwrap().as_str(),
        job.steps[0].name.as_str(),
        job.steps[0].when.as_ref().unwrap().as_str(),
        job.image.as_ref().unwrap().pull_policy[0].as_str(),
        job.artifacts[0].when.as_ref().unwrap().as_str(),
        job.artifacts[0].artifact_format.as_ref().unwrap().as_str(),
        job.cache[0].policy.as_ref().unwrap().as_str(),
        job.hooks[0].name.as_str(),
        job.inputs[0].value.kind.as_ref().unwrap().as_str(),
        job.features.failure_reasons[0].as_str(),
    ];
    assert_eq!(carried, ["brand-new"; 11]);
}

#[test]
fn null_is_absent_at_every_place() {
    let mut paths = Vec::new();
    super::any_value::pointers(&full(), "", &mut paths);
    // Nulls within the content of an input are the user's.
    paths.retain(|pointer| pointer != "/id" && pointer != "/token" && !pointer.contains("/content/"));
    for pointer in &paths {
        let mut with_null = full();
        *with_null.pointer_mut(pointer).unwrap() = Value::Null;
        let job = Job::from_json(with_null.to_string()).unwrap();
        assert_eq!((job.warnings(), job.unknown_fields()), (&[][..], &[][..]), "{pointer}");

        let mut absent = full();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        match absent.pointer_mut(parent).unwrap() {
            Value::Object(fields) => drop(fields.remove(key)),
            Value::Array(items) => drop(items.remove(key.parse().unwrap())),
            _ => unreachable!(),
        }
        let without = Job::from_json(absent.to_string()).unwrap();
        let differences = super::any_value::differences(&job, &without);
        assert!(differences.is_empty(), "{pointer}: {differences:?}");
    }
}

#[test]
fn unknown_fields_are_kept_at_every_level() {
    let mut payload = full();
    let mut expected = Vec::new();
    let mut paths = vec![String::new()];
    super::any_value::pointers(&full(), "", &mut paths);
    for pointer in &paths {
        // What lies in these is data of the user, not fields.
        let free = ["/secrets", "/secrets/S/vault/server/auth/data", "/inputs/0/value/content"];
        if let Some(Value::Object(fields)) = payload.pointer_mut(pointer)
            && !free.contains(&pointer.as_str())
        {
            fields.insert("x_new".to_owned(), json!({ "in": pointer }));
            expected.push(format!("{}.x_new", super::any_value::json_path(pointer)));
        }
    }
    let job = Job::from_json(payload.to_string()).unwrap();
    assert_eq!(job.warnings(), []);
    let mut found: Vec<_> = job.unknown_fields().iter().map(|field| field.path().to_owned()).collect();
    found.sort();
    expected.sort();
    assert!(found.len() > 40, "{}", found.len());
    assert_eq!(found, expected);
    let last = job.unknown_fields().last().unwrap();
    assert_eq!((last.path(), last.json()), ("$.x_new", r#"{"in":""}"#));
}
