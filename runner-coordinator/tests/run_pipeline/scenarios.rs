//! Running pipelines, step by step. Numbers are those of the project's conformance scenarios.

use std::time::Duration;

use runner_coordinator::pipeline::{
    AllowFailure, Artifacts, ChildInclude, Forward, IdToken, JobEnvironment, JobInput, Node, Release, Retry,
    Secret, Trigger, TriggerTarget, When, Work,
};
use runner_coordinator::run::{
    Action, ArchiveInfo, End, ExpandError, Finished, GitRef, JobVariable, Outcome, PipelineRun, Play,
    PlayError, RunError, Selection, Status,
};

use crate::support::{
    Driver, allowed, entry, facts, job, need, needs, now, pipeline, settings, value, variable, when, with,
};

fn success() -> Option<Outcome> {
    Some(Outcome::Success { warnings: false })
}

#[test]
fn scenario_31_server_expands_known_names_only() {
    let a = with(job("a", "test"), |job| job.variables = vec![variable("B", "$A-$C"), variable("A", "x")]);
    assert_eq!(value(Driver::new(vec![a]).payload("a"), "B"), Some("x-$C"));
}

#[test]
fn scenario_33_expand_false() {
    let a = with(job("a", "test"), |job| {
        job.variables = vec![variable("A", "$B"), variable("B", "b"), variable("C", "$A")];
        job.variables[0].raw = true;
    });
    let driver = Driver::new(vec![a]);
    let payload = driver.payload("a");
    assert_eq!(entry(payload, "A").unwrap()["raw"], true);
    assert_eq!((value(payload, "A"), value(payload, "C")), (Some("$B"), Some("$A")));
    assert_eq!(entry(payload, "C").unwrap().get("raw"), None);
}

#[test]
fn scenario_35_levels_of_variables() {
    let a = || {
        with(job("a", "test"), |job| {
            job.variables =
                vec![variable("GITLAB_USER_LOGIN", "z"), variable("X", "yaml"), variable("Y", "$X")];
        })
    };
    let driver = Driver::new(vec![a()]);
    assert_eq!(value(driver.payload("a"), "GITLAB_USER_LOGIN"), Some("ada"));
    assert_eq!(value(driver.payload("a"), "Y"), Some("yaml"));

    let mut settings = settings();
    settings.project_variables = vec![JobVariable::masked("X", "project"), JobVariable::hidden("P", "p")];
    settings.pipeline_variables = vec![JobVariable::new("GITLAB_USER_LOGIN", "cli")];
    let driver = Driver::with_settings(vec![a()], settings.clone());
    let payload = driver.payload("a");
    assert_eq!(value(payload, "GITLAB_USER_LOGIN"), Some("cli"));
    assert_eq!(value(payload, "Y"), Some("project"));
    assert_eq!(entry(payload, "X").unwrap()["masked"], true);
    assert_eq!(entry(payload, "P").unwrap()["public"], false);

    settings.pipeline_variables.push(JobVariable { file: true, ..JobVariable::hidden("X", "cli") });
    let driver = Driver::with_settings(vec![a()], settings);
    assert_eq!(value(driver.payload("a"), "X"), Some("cli"));
    assert_eq!(entry(driver.payload("a"), "X").unwrap()["file"], true);
    assert_eq!(value(driver.payload("a"), "Y"), Some("$X"), "the runner knows the path of a file variable");
}

#[test]
fn scenario_37_tag() {
    let mut settings = settings();
    settings.facts.git_ref = GitRef::Tag { name: "v1".to_owned(), message: None };
    let driver = Driver::with_settings(vec![job("a", "test")], settings);
    let payload = driver.payload("a");
    assert_eq!(value(payload, "CI_COMMIT_TAG"), Some("v1"));
    assert_eq!(value(payload, "CI_COMMIT_REF_NAME"), Some("v1"));
    assert_eq!(value(payload, "CI_COMMIT_BRANCH"), None);
    assert_eq!(payload["git_info"]["ref_type"], "tag");
    assert_eq!(
        payload["git_info"]["refspecs"],
        serde_json::json!(["+refs/pipelines/7:refs/pipelines/7", "+refs/tags/v1:refs/tags/v1"])
    );
}

#[test]
fn scenario_45_empty_needs_start_at_once() {
    let mut driver = Driver::new(vec![job("build", "build"), needs(job("lint", "test"), &[])]);
    assert_eq!(driver.statuses(), "build:pending lint:pending");
    driver.fail("build");
    driver.succeed("lint");
    assert_eq!(driver.outcome(), Some(Outcome::Failed));
}

#[test]
fn scenario_51_allowed_failure_is_a_warning() {
    let mut driver = Driver::new(vec![
        allowed(job("build", "build")),
        job("test", "test"),
        when(job("clean", "test"), When::OnFailure),
    ]);
    driver.fail("build");
    assert_eq!(driver.statuses(), "build:failed test:pending clean:skipped");
    driver.succeed("test");
    assert_eq!(driver.run.status(), Status::Success);
    assert_eq!(driver.outcome(), Some(Outcome::Success { warnings: true }));
}

#[test]
fn scenario_53_needs_of_an_optional_manual_job() {
    let jobs = || {
        vec![
            allowed(when(job("m", "build"), When::Manual)),
            needs(job("c", "test"), &["m"]),
            job("d", "deploy"),
        ]
    };
    let mut driver = Driver::new(jobs());
    assert_eq!(driver.statuses(), "m:manual c:skipped d:pending");
    driver.succeed("d");
    assert_eq!(driver.outcome(), success());
    driver.play("m");
    assert_eq!(driver.statuses(), "m:pending c:created d:success");
    assert_eq!(driver.outcome(), None);
    driver.succeed("m");
    assert_eq!(driver.status("c"), Status::Pending);
    assert_eq!(value(driver.payload("m"), "CI_JOB_MANUAL"), Some("true"));

    for play in [Play::All, Play::Named(vec!["m".to_owned()])] {
        let mut settings = settings();
        settings.play = play;
        let mut driver = Driver::with_settings(jobs(), settings);
        assert_eq!(driver.statuses(), "m:pending c:created d:created");
        driver.succeed("m");
        assert_eq!(driver.status("c"), Status::Pending);
    }
}

#[test]
fn scenario_55_instances_of_a_parallel_job() {
    let instance = |index| {
        with(job(&format!("p {index}/2"), "test"), |job| {
            job.base = "p".to_owned();
            job.node = Some(Node { index, total: 2 });
        })
    };
    let after = needs(job("after", "test"), &["p 1/2", "p 2/2"]);
    let mut driver = Driver::new(vec![after, instance(1), instance(2)]);
    assert_eq!(driver.statuses(), "after:created p 1/2:pending p 2/2:pending");
    assert_eq!(value(driver.payload("p 2/2"), "CI_NODE_INDEX"), Some("2"));
    assert_eq!(value(driver.payload("p 2/2"), "CI_NODE_TOTAL"), Some("2"));
    assert_eq!(value(driver.payload("p 2/2"), "CI_JOB_GROUP_NAME"), Some("p"));
    driver.succeed("p 1/2");
    assert_eq!(driver.status("after"), Status::Created);
    driver.succeed("p 2/2");
    assert_eq!(driver.status("after"), Status::Pending);
    assert_eq!(value(driver.payload("after"), "CI_NODE_TOTAL"), Some("1"));
    assert_eq!(value(driver.payload("after"), "CI_NODE_INDEX"), None);
}

// The rest of scenario 57 is in the payload and dotenv tests.
#[test]
fn scenario_57_dotenv_beats_yaml_in_later_stages() {
    let with_x = |job| with(job, |job| job.variables = vec![variable("X", "yaml")]);
    let mut driver = Driver::new(vec![
        job("a", "build"),
        job("b", "build"),
        with_x(job("later", "test")),
        with_x(with(needs(job("other", "test"), &["a"]), |job| {
            job.needs = Some(vec![runner_coordinator::pipeline::Need { artifacts: false, ..need("a") }]);
        })),
        with_x(with(job("none", "test"), |job| job.dependencies = Some(Vec::new()))),
    ]);
    let dotenv = |value: &str| Finished {
        dotenv: vec![("X".to_owned(), value.to_owned()), ("Y".to_owned(), "$X!".to_owned())],
        ..Finished::success()
    };
    driver.finish("a", dotenv("from a"));
    driver.finish("b", dotenv("from b"));
    assert_eq!(value(driver.payload("later"), "X"), Some("from b"));
    assert_eq!(value(driver.payload("later"), "Y"), Some("from b!"));
    assert_eq!(value(driver.payload("other"), "X"), Some("yaml"));
    assert_eq!(value(driver.payload("none"), "X"), Some("yaml"));
    assert_eq!(driver.payload("later")["artifacts"], serde_json::Value::Null);
}

#[test]
fn stages_follow_each_other() {
    let mut driver = Driver::new(vec![
        job("deploy", "deploy"),
        job("b1", "build"),
        job("b2", "build"),
        job("t", "test"),
        when(job("notify", ".post"), When::Always),
    ]);
    assert_eq!(driver.statuses(), "b1:pending b2:pending t:created deploy:created notify:created");
    driver.succeed("b1");
    assert_eq!(driver.status("t"), Status::Created);
    driver.succeed("b2");
    driver.fail("t");
    assert_eq!(driver.statuses(), "b1:success b2:success t:failed deploy:skipped notify:pending");
    driver.succeed("notify");
    assert_eq!(driver.outcome(), Some(Outcome::Failed));
    let stages: Vec<_> =
        driver.run.stages().map(|(stage, status)| (stage, status.map(Status::as_str))).collect();
    assert_eq!(
        stages,
        [
            (".pre", None),
            ("build", Some("success")),
            ("test", Some("failed")),
            ("deploy", Some("skipped")),
            (".post", Some("success"))
        ]
    );
}

#[test]
fn on_failure_runs_after_a_failure_of_any_earlier_stage() {
    let mut driver = Driver::new(vec![
        job("build", "build"),
        job("test", "test"),
        when(job("report", ".post"), When::OnFailure),
    ]);
    driver.fail("build");
    assert_eq!(driver.statuses(), "build:failed test:skipped report:pending");
}

#[test]
fn a_blocking_manual_job_holds_later_stages() {
    let mut driver = Driver::new(vec![
        job("build", "build"),
        when(job("gate", "test"), When::Manual),
        job("deploy", "deploy"),
    ]);
    assert_eq!(
        driver.run.play("gate"),
        Err(PlayError::NotWaiting { name: "gate".to_owned(), status: Status::Created })
    );
    driver.succeed("build");
    assert_eq!(driver.statuses(), "build:success gate:manual deploy:created");
    assert_eq!(driver.run.status(), Status::Manual);
    assert_eq!(driver.outcome(), Some(Outcome::Blocked { manual: vec!["gate".to_owned()] }));
    driver.play("gate");
    assert_eq!(driver.outcome(), None);
    driver.succeed("gate");
    driver.succeed("deploy");
    assert_eq!(driver.outcome(), success());
}

#[test]
fn playing_resets_what_was_skipped() {
    let manual = || allowed(when(job("m", "test"), When::Manual));
    // In the same stage only jobs that need it, directly or not.
    let mut driver = Driver::new(vec![
        manual(),
        needs(job("a", "test"), &["m"]),
        needs(job("b", "test"), &["a"]),
        needs(when(job("c", "test"), When::OnFailure), &["d"]),
        job("d", "test"),
    ]);
    driver.succeed("d");
    assert_eq!(driver.statuses(), "m:manual a:skipped b:skipped c:skipped d:success");
    driver.play("m");
    assert_eq!(driver.statuses(), "m:pending a:created b:created c:skipped d:success");

    // In later stages all.
    let mut driver = Driver::new(vec![
        manual(),
        needs(job("a", "test"), &["m"]),
        when(job("report", "deploy"), When::OnFailure),
    ]);
    assert_eq!(driver.statuses(), "m:manual a:skipped report:skipped");
    driver.play("m");
    driver.succeed("m");
    driver.fail("a");
    assert_eq!(driver.statuses(), "m:success a:failed report:pending");
}

#[test]
fn a_failure_beside_a_blocking_manual_job_is_a_failure() {
    let mut driver = Driver::new(vec![job("a", "build"), when(job("gate", "build"), When::Manual)]);
    driver.fail("a");
    assert_eq!(driver.run.status(), Status::Manual);
    assert_eq!(driver.outcome(), Some(Outcome::Failed));
}

#[test]
fn delayed_jobs_wait_for_their_time() {
    let delayed = || {
        with(when(job("later", "build"), When::Delayed), |job| job.start_in = Some(Duration::from_secs(60)))
    };
    let mut driver = Driver::new(vec![delayed(), job("deploy", "deploy")]);
    assert_eq!(driver.statuses(), "later:scheduled deploy:created");
    assert_eq!(driver.run.status(), Status::Scheduled);
    assert_eq!(driver.wake, Some(now() + Duration::from_secs(60)));
    driver.now += Duration::from_secs(59);
    driver.advance();
    assert_eq!(driver.status("later"), Status::Scheduled);
    driver.now += Duration::from_secs(1);
    driver.advance();
    assert_eq!(driver.status("later"), Status::Pending);

    let mut driver = Driver::new(vec![delayed()]);
    driver.play("later");
    assert_eq!(driver.status("later"), Status::Pending);

    let mut settings = settings();
    settings.no_delay = true;
    assert_eq!(Driver::with_settings(vec![delayed()], settings).status("later"), Status::Pending);
}

#[test]
fn a_retry_is_a_new_job() {
    let flaky = with(job("flaky", "build"), |job| {
        job.retry = Retry { max: 2, when: vec!["script_failure".to_owned()], exit_codes: Vec::new() };
    });
    let mut driver = Driver::new(vec![flaky, job("test", "test")]);
    let first = driver.id("flaky");
    let first_token = driver.payload("flaky")["token"].clone();
    driver.fail("flaky");
    assert_eq!(driver.statuses(), "flaky:pending test:created");
    assert_ne!(driver.id("flaky"), first);
    assert_ne!(driver.payload("flaky")["token"], first_token);
    assert_eq!(value(driver.payload("flaky"), "CI_JOB_ID"), Some(driver.id("flaky").to_string().as_str()));
    assert!(!driver.run.finished(first, Finished::success(), driver.now), "the old try is over");
    driver.fail("flaky");
    driver.fail("flaky");
    assert_eq!(driver.statuses(), "flaky:failed test:skipped");
    let view = driver.run.job("flaky").unwrap();
    let tries: Vec<_> = view.tries.iter().map(|tried| (tried.status, tried.exit_code)).collect();
    assert_eq!(tries, [(Status::Failed, Some(1)); 3]);
    assert_eq!(view.failure_reason(), Some("script_failure"));
    assert_eq!(driver.run.job_of(first).unwrap().job.name, "flaky");
}

#[test]
fn allowed_exit_codes() {
    let jobs = || {
        let check = with(job("check", "build"), |job| job.allow_failure = AllowFailure::ExitCodes(vec![3]));
        vec![check, job("test", "test")]
    };
    let mut driver = Driver::new(jobs());
    driver.finish("check", Finished::script_failed(3));
    assert_eq!(driver.statuses(), "check:failed test:pending");
    assert!(driver.run.job("check").unwrap().failure_allowed);

    let mut driver = Driver::new(jobs());
    driver.fail("check");
    assert_eq!(driver.statuses(), "check:failed test:skipped");
}

#[test]
fn exit_codes_need_a_runner_that_sends_them() {
    let check = with(job("check", "build"), |job| job.allow_failure = AllowFailure::ExitCodes(vec![3]));
    let mut run = PipelineRun::new(pipeline(vec![check, job("plain", "build")]), settings()).unwrap();
    let mut host = crate::support::TestHost::new();
    let mut features = run.advance(now(), &mut host).into_iter().map(|action| match action {
        Action::Enqueue { new_job, .. } => new_job.required_features.into_iter().collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    });
    assert_eq!(features.next().unwrap(), ["return_exit_code"]);
    assert!(features.next().unwrap().is_empty());
}

#[test]
fn a_resource_group_runs_one_job_at_a_time() {
    let grouped = |name: &str| {
        with(job(name, "build"), |job| {
            job.resource_group = Some("env-$TARGET".to_owned());
            job.variables = vec![variable("TARGET", if name == "c" { "other" } else { "prod" })];
        })
    };
    let mut driver = Driver::new(vec![grouped("a"), grouped("b"), grouped("c")]);
    assert_eq!(driver.statuses(), "a:pending b:waiting_for_resource c:pending");
    driver.succeed("a");
    assert_eq!(driver.statuses(), "a:success b:pending c:pending");
    driver.succeed("c");
    driver.succeed("b");
    assert_eq!(driver.outcome(), success());
}

#[test]
fn cancel() {
    let mut driver = Driver::new(vec![
        job("running", "build"),
        job("pending", "build"),
        when(job("manual", "build"), When::Manual),
        with(job("flaky", "build"), |job| job.retry.max = 2),
        job("later", "test"),
    ]);
    let (running, pending) = (driver.id("running"), driver.id("pending"));
    let flaky = driver.id("flaky");
    driver.run.started(running, now());
    driver.run.started(flaky, now());
    driver.run.cancel(now());
    driver.advance();
    assert_eq!(
        driver.statuses(),
        "running:canceling pending:canceled manual:manual flaky:canceling later:canceled"
    );
    assert_eq!(driver.canceled, [running, pending, flaky]);
    assert_eq!(driver.outcome(), None, "two jobs are still stopping");
    driver.run.finished(running, Finished::success(), now());
    driver.run.finished(flaky, Finished::script_failed(1), now());
    assert!(!driver.run.finished(pending, Finished::canceled(), now()));
    driver.advance();
    assert_eq!(driver.status("running"), Status::Canceled);
    assert_eq!(driver.status("flaky"), Status::Canceled, "canceled jobs are not retried");
    assert_eq!(driver.outcome(), Some(Outcome::Canceled));
    assert_eq!(driver.run.play("manual"), Err(PlayError::Canceled { name: "manual".to_owned() }));
}

#[test]
fn the_first_failure_may_cancel_the_rest() {
    let mut settings = settings();
    settings.cancel_on_failure = true;
    let jobs =
        vec![allowed(job("soft", "build")), job("hard", "build"), job("other", "build"), job("t", "test")];
    let mut driver = Driver::with_settings(jobs, settings);
    driver.fail("soft");
    assert_eq!(driver.status("other"), Status::Pending);
    driver.fail("hard");
    assert_eq!(driver.statuses(), "soft:failed hard:failed other:canceled t:canceled");
    assert_eq!(driver.outcome(), Some(Outcome::Failed));
}

#[test]
fn a_trigger_of_another_project_is_only_noted() {
    let bridge = |name: &str| {
        with(job(name, "build"), |job| {
            job.variables = vec![variable("TEAM", "ops")];
            job.work = Work::Trigger(Trigger {
                target: TriggerTarget::Project { project: "$TEAM/deploy".to_owned(), branch: None },
                depend: true,
                forward: Forward::default(),
            });
        })
    };
    let mut driver = Driver::new(vec![bridge("t"), job("test", "test")]);
    assert_eq!(driver.statuses(), "t:success test:pending");
    assert_eq!(
        driver.notes,
        ["t: the pipeline of project ops/deploy is not triggered; the job is counted as success"]
    );
    driver.succeed("test");
    assert_eq!(driver.outcome(), success());

    let mut settings = settings();
    settings.skip_project_triggers = true;
    let driver = Driver::with_settings(vec![bridge("t")], settings);
    assert_eq!(driver.statuses(), "t:skipped");
    assert_eq!(driver.outcome(), Some(Outcome::Skipped));
}

#[test]
fn a_child_pipeline_is_the_hosts_to_run() {
    let bridge = |name: &str, depend| {
        with(job(name, "build"), |job| {
            job.variables = vec![variable("A", "$CI_COMMIT_BRANCH"), variable("A", "[$CI_COMMIT_BRANCH]")];
            let target = TriggerTarget::Include(vec![ChildInclude::from("child.yml")]);
            job.work = Work::Trigger(Trigger { target, depend, forward: Forward::default() });
        })
    };
    let mut driver = Driver::new(vec![bridge("wait", true), bridge("go", false), job("test", "test")]);
    let Action::StartChild { includes, variables, .. } = &driver.children[0] else { panic!() };
    assert_eq!(includes, &[ChildInclude::from("child.yml")]);
    assert_eq!(variables, &[JobVariable::new("A", "[main]")]);
    let (wait, go) = (driver.id("wait"), driver.id("go"));
    driver.run.started(wait, now());
    driver.run.started(go, now());
    driver.advance();
    assert_eq!(driver.statuses(), "wait:running go:success test:created");
    driver.run.finished(wait, Finished::failed("downstream_pipeline_creation_failed"), now());
    driver.advance();
    assert_eq!(driver.statuses(), "wait:failed go:success test:skipped");
}

#[test]
fn archives_are_downloaded_with_the_running_jobs_token() {
    let archive = || Finished {
        archive: Some(ArchiveInfo { filename: "artifacts.zip".to_owned(), size: 12 }),
        ..Finished::success()
    };
    let mut driver = Driver::new(vec![
        job("a", "build"),
        job("b", "build"),
        with(job("c", "build"), |job| job.artifacts = Some(Artifacts::default())),
        job("all", "test"),
        with(job("some", "test"), |job| job.dependencies = Some(vec!["b".to_owned(), "c".to_owned()])),
        with(job("needing", "test"), |job| job.needs = Some(vec![need("a")])),
        with(job("without", "test"), |job| job.needs = Some(Vec::new())),
    ]);
    assert_eq!(driver.payload("without")["dependencies"], serde_json::json!([]));
    driver.finish("a", archive());
    driver.finish("b", archive());
    driver.succeed("c");
    let names = |name: &str| {
        let list = driver.payload(name)["dependencies"].as_array().unwrap();
        list.iter().map(|entry| entry["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("all"), ["a", "b"]);
    assert_eq!(names("some"), ["b"]);
    assert_eq!(names("needing"), ["a"]);
    let payload = driver.payload("needing");
    assert_eq!(
        payload["dependencies"][0],
        serde_json::json!({
            "id": driver.id("a").0,
            "name": "a",
            "token": payload["token"],
            "artifacts_file": {"filename": "artifacts.zip", "size": 12},
        })
    );
}

#[test]
fn selected_jobs_with_and_without_what_they_need() {
    let jobs = || {
        vec![
            job("compile", "build"),
            allowed(when(job("gate", "build"), When::Manual)),
            job("other", "build"),
            needs(job("test", "test"), &["compile", "gate"]),
            when(job("rescue", "deploy"), When::OnFailure),
        ]
    };
    let selected = |names: &[&str], with_needs| {
        let mut settings = settings();
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        settings.selection = Selection::Jobs { names, with_needs };
        settings
    };
    let driver = Driver::with_settings(jobs(), selected(&["test"], true));
    assert_eq!(driver.statuses(), "compile:pending gate:pending test:created");
    let driver = Driver::with_settings(jobs(), selected(&["test"], false));
    assert_eq!(driver.statuses(), "test:pending");
    let driver = Driver::with_settings(jobs(), selected(&["gate", "rescue"], false));
    assert_eq!(driver.statuses(), "gate:pending rescue:created");
    let driver = Driver::with_settings(jobs(), selected(&["rescue"], true));
    assert_eq!(driver.statuses(), "compile:pending gate:pending other:pending test:created rescue:created");

    let error = PipelineRun::new(pipeline(jobs()), selected(&["tset"], true)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no job \"tset\" in the pipeline; it has: compile, gate, other, test, rescue"
    );
}

#[test]
fn environments() {
    let a = with(job("a", "deploy"), |job| {
        job.variables = vec![variable("APP", "shop")];
        job.environment = Some(JobEnvironment {
            name: "review/$APP".to_owned(),
            url: Some("https://$CI_ENVIRONMENT_SLUG.example.org".to_owned()),
            action: "start".to_owned(),
            ..JobEnvironment::default()
        });
    });
    let driver = Driver::new(vec![a]);
    let payload = driver.payload("a");
    let slug = runner_coordinator::run::environment_slug("review/shop");
    assert_eq!(value(payload, "CI_ENVIRONMENT_NAME"), Some("review/shop"));
    assert_eq!(value(payload, "CI_ENVIRONMENT_TIER"), Some("development"));
    assert_eq!(value(payload, "CI_ENVIRONMENT_ACTION"), Some("start"));
    assert_eq!(value(payload, "CI_ENVIRONMENT_SLUG"), Some(slug.as_str()));
    assert_eq!(value(payload, "CI_ENVIRONMENT_URL"), Some(format!("https://{slug}.example.org").as_str()));
}

#[test]
fn the_address_of_an_environment_may_come_from_the_job_itself() {
    let a = with(job("a", "deploy"), |job| {
        job.environment = Some(JobEnvironment {
            name: "demo".to_owned(),
            url: Some("$ADDRESS".to_owned()),
            action: "start".to_owned(),
            ..JobEnvironment::default()
        });
    });
    let mut driver = Driver::new(vec![a]);
    let dotenv = vec![("ADDRESS".to_owned(), "https://demo.example.org".to_owned())];
    driver.finish("a", Finished { dotenv, ..Finished::success() });
    assert_eq!(driver.run.environment("a"), Some(("demo".to_owned(), "https://demo.example.org".to_owned())));
}

#[test]
fn graphs_that_cannot_end_are_refused() {
    let error = |jobs| PipelineRun::new(pipeline(jobs), settings()).unwrap_err();
    assert_eq!(
        error(vec![needs(job("a", "test"), &["b"]), needs(job("b", "test"), &["a"]), job("c", "test")]),
        RunError::CircularNeeds { jobs: vec!["a".to_owned(), "b".to_owned()] }
    );
    assert_eq!(
        error(vec![needs(job("a", "build"), &["b"]), job("b", "test")]),
        RunError::LaterNeed { job: "a".to_owned(), need: "b".to_owned() }
    );
    assert_eq!(
        error(vec![needs(job("a", "build"), &["b"])]).to_string(),
        "'a' job needs 'b' job, but 'b' does not exist in the pipeline"
    );
    assert!(matches!(error(vec![job("a", "nowhere")]), RunError::UnknownStage { .. }));
    assert_eq!(
        error(vec![job("a", "build"), job("a", "test")]),
        RunError::DuplicateJob { name: "a".to_owned() }
    );
    let circle = with(job("a", "test"), |job| job.variables = vec![variable("A", "$B"), variable("B", "$A")]);
    assert!(matches!(error(vec![circle]), RunError::Variables { source: ExpandError::Circular { .. }, .. }));
}

#[test]
fn an_optional_need_that_is_missing_is_ignored() {
    let a = with(job("a", "test"), |job| {
        job.needs = Some(vec![runner_coordinator::pipeline::Need { optional: true, ..need("gone") }]);
    });
    assert_eq!(Driver::new(vec![a]).status("a"), Status::Pending);
}

#[test]
fn a_circle_through_dotenv_is_noted_not_fatal() {
    let later = with(job("later", "test"), |job| job.variables = vec![variable("A", "$B")]);
    let mut driver = Driver::new(vec![job("first", "build"), later]);
    let dotenv = vec![("B".to_owned(), "$A".to_owned())];
    driver.finish("first", Finished { dotenv, ..Finished::success() });
    assert_eq!(value(driver.payload("later"), "A"), Some("$B"));
    assert_eq!(driver.notes.len(), 1, "{:?}", driver.notes);
}

#[test]
fn times_and_duration_of_tries() {
    let mut driver = Driver::new(vec![job("a", "build")]);
    let id = driver.id("a");
    driver.run.started(id, now() + Duration::from_secs(2));
    let failed =
        Finished { end: End::Failed { reason: "runner_system_failure".to_owned() }, ..Finished::success() };
    driver.run.finished(id, failed, now() + Duration::from_secs(5));
    assert_eq!(driver.outcome(), None, "advance has to look at it first");
    driver.advance();
    let view = driver.run.job("a").unwrap();
    let last = view.last_try().unwrap();
    assert_eq!(last.queued, now());
    assert_eq!(last.duration(), Some(Duration::from_secs(3)));
    assert_eq!(last.failure_reason.as_deref(), Some("runner_system_failure"));
}

#[test]
fn an_empty_pipeline_is_skipped() {
    assert_eq!(Driver::new(Vec::new()).outcome(), Some(Outcome::Skipped));
    assert_eq!(facts().project().path, "group/project");
}

#[test]
fn the_pipeline_may_ask_to_cancel_the_rest() {
    let mut pipeline = pipeline(vec![job("bad", "test"), job("other", "test")]);
    pipeline.cancel_on_failure = true;
    let mut driver = Driver::of(pipeline, settings());
    let other = driver.id("other");
    driver.fail("bad");
    assert_eq!(driver.canceled, [other]);
}

#[test]
fn a_child_that_waits_blocks_its_job() {
    let bridge = with(job("child", "build"), |job| {
        let target = TriggerTarget::Include(vec![ChildInclude::from("c.yml")]);
        job.work = Work::Trigger(Trigger { target, depend: true, forward: Forward::default() });
    });
    let mut driver = Driver::new(vec![bridge, job("test", "test")]);
    let id = driver.id("child");
    driver.run.started(id, now());
    assert!(driver.run.blocked(id));
    driver.advance();
    assert_eq!(driver.statuses(), "child:manual test:created");
    assert_eq!(driver.outcome(), Some(Outcome::Blocked { manual: vec!["child".to_owned()] }));
    assert!(!driver.run.blocked(id) && driver.run.resumed(id) && !driver.run.resumed(id));
    driver.advance();
    assert_eq!((driver.status("child"), driver.outcome()), (Status::Running, None));
    driver.run.finished(id, Finished::success(), now());
    driver.advance();
    assert_eq!(driver.statuses(), "child:success test:pending");
}

#[test]
fn forwarded_variables() {
    let bridge = |name: &str, forward| {
        with(job(name, "build"), |job| {
            job.variables = vec![variable("OWN", "1"), variable("BOTH", "file")];
            let target = TriggerTarget::Include(vec![ChildInclude::from("c.yml")]);
            job.work = Work::Trigger(Trigger { target, depend: false, forward });
        })
    };
    let forward = |yaml_variables, pipeline_variables| Forward { yaml_variables, pipeline_variables };
    let mut settings = settings();
    settings.pipeline_variables = vec![JobVariable::new("BOTH", "line"), JobVariable::masked("P", "secret")];
    let jobs = vec![
        bridge("default", Forward::default()),
        bridge("all", forward(true, true)),
        bridge("none", forward(false, false)),
        bridge("line", forward(false, true)),
    ];
    let driver = Driver::with_settings(jobs, settings);
    let shown = |action: &Action| {
        let Action::StartChild { name, variables, .. } = action else { panic!() };
        let pairs: Vec<String> = variables.iter().map(|v| format!("{}={}", v.key, v.value)).collect();
        format!("{name}: {}", pairs.join(" "))
    };
    let children: Vec<String> = driver.children.iter().map(shown).collect();
    assert_eq!(
        children,
        [
            "default: OWN=1 BOTH=line",
            "all: BOTH=line P=secret OWN=1 BOTH=line",
            "none: ",
            "line: BOTH=line P=secret"
        ]
    );
}

#[test]
fn secrets_must_be_given() {
    let asks = |name: &str| {
        with(job(name, "test"), |job| {
            let secret = |name: &str, file| Secret { name: name.to_owned(), file };
            job.secrets = vec![secret("S", true), secret("T", false)];
        })
    };
    let driver = Driver::new(vec![asks("a")]);
    assert_eq!(driver.run.job("a").unwrap().failure_reason(), Some("unmet_prerequisites"));
    assert!(
        driver.notes[0].contains("a: no place of `secrets` is asked here; give S with"),
        "{:?}",
        driver.notes
    );
    let mut settings = settings();
    settings.pipeline_variables = vec![JobVariable::masked("S", "x"), JobVariable::masked("T", "y")];
    let driver = Driver::with_settings(vec![asks("a")], settings);
    let entry = |name| entry(driver.payload("a"), name).unwrap().clone();
    assert_eq!((&entry("S")["file"], &entry("S")["masked"]), (&true.into(), &true.into()));
    assert_eq!(entry("T")["file"], serde_json::Value::Null);
}

#[test]
fn id_tokens_claim_what_is_known() {
    let asks = with(job("a", "test"), |job| {
        let audiences = vec!["https://$CI_SERVER_HOST".to_owned()];
        job.id_tokens = vec![IdToken { name: "T".to_owned(), audiences }];
        job.environment = Some(JobEnvironment {
            name: "prod".to_owned(),
            action: "start".to_owned(),
            ..JobEnvironment::default()
        });
    });
    let driver = Driver::new(vec![asks.clone()]);
    let entry = entry(driver.payload("a"), "T").unwrap();
    assert_eq!(entry["masked"], true);
    let claims: serde_json::Value = serde_json::from_str(entry["value"].as_str().unwrap()).unwrap();
    for (key, expected) in [
        ("iss", "https://git.example.org"),
        ("sub", "project_path:group/project:ref_type:branch:ref:main"),
        ("aud", "https://git.example.org"),
        ("project_path", "group/project"),
        ("user_login", "ada"),
        ("ref_protected", "true"),
        ("environment", "prod"),
        ("deployment_tier", "production"),
    ] {
        assert_eq!(claims[key], expected, "{key}");
    }
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 3600);
    assert!(
        driver.notes[0].contains("id token T is signed with a key of this run alone"),
        "{:?}",
        driver.notes
    );
    // The user's own token counts.
    let mut settings = settings();
    settings.pipeline_variables = vec![JobVariable::masked("T", "own")];
    let driver = Driver::with_settings(vec![asks], settings);
    assert_eq!(value(driver.payload("a"), "T"), Some("own"));
    assert!(driver.notes.is_empty(), "{:?}", driver.notes);
}

#[test]
fn releases_only_when_asked_for() {
    let release = with(job("a", "test"), |job| {
        job.release = Some(Release {
            tag_name: "v-$CI_COMMIT_BRANCH".to_owned(),
            description: "d".to_owned(),
            ..Release::default()
        });
    });
    let driver = Driver::new(vec![release.clone()]);
    assert_eq!(driver.notes, ["a: would release v-main; nothing is released without --release"]);
    assert_eq!(driver.payload("a")["steps"].as_array().unwrap().len(), 1);
    let mut settings = settings();
    settings.release = true;
    let driver = Driver::with_settings(vec![release], settings);
    let step = &driver.payload("a")["steps"][1];
    assert_eq!(
        (&step["name"], &step["when"], &step["allow_failure"]),
        (&"release".into(), &"on_success".into(), &false.into())
    );
    assert_eq!(
        step["script"],
        serde_json::json!(["release-cli create --description \"d\" --tag-name \"v-$CI_COMMIT_BRANCH\""])
    );
    assert!(driver.notes.is_empty());
}

#[test]
fn inputs_of_a_job_are_sent_with_their_type() {
    let asks = with(job("a", "test"), |job| {
        job.inputs =
            vec![JobInput { name: "n".to_owned(), kind: "number".to_owned(), value: serde_json::json!(3) }];
    });
    let driver = Driver::new(vec![asks]);
    assert_eq!(
        driver.payload("a")["inputs"],
        serde_json::json!([{"key": "n", "value": {"type": "number", "content": 3, "sensitive": false}}])
    );
}

#[test]
fn every_definition_of_a_variable_tells_where_it_comes_from() {
    let a = with(job("a", "test"), |job| {
        job.variables = vec![variable("A", "$B"), variable("B", "file"), variable("GITLAB_USER_LOGIN", "z")];
        job.environment = Some(JobEnvironment {
            name: "prod".to_owned(),
            url: Some("https://$A".to_owned()),
            action: "start".to_owned(),
            ..JobEnvironment::default()
        });
    });
    let mut settings = settings();
    settings.project_variables =
        vec![JobVariable::hidden("P", "project"), JobVariable::hidden("B", "project")];
    settings.pipeline_variables = vec![JobVariable::new("B", "line")];
    let run = PipelineRun::new(pipeline(vec![a]), settings).unwrap();
    let all = run.variables("a").unwrap();
    let shown = |name: &str| {
        let of_name = all.iter().filter(|definition| definition.variable.key == name);
        let each = of_name.map(|definition| {
            let over = if definition.overridden { " (overridden)" } else { "" };
            format!("{:?} {}{over}", definition.level, definition.variable.value)
        });
        each.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(shown("A"), "File line");
    assert_eq!(shown("B"), "File file (overridden), Project project (overridden), Pipeline line");
    assert_eq!(shown("P"), "Project project");
    assert_eq!(shown("GITLAB_USER_LOGIN"), "File z (overridden), User ada");
    assert_eq!(shown("CI_ENVIRONMENT_URL"), "Environment https://line");
    assert_eq!(shown("CI_ENVIRONMENT_NAME"), "Predefined prod");
    assert_eq!(shown("CI_COMMIT_BRANCH"), "Predefined main");
    assert_eq!((shown("CI_JOB_TOKEN"), shown("CI_JOB_ID")), (String::new(), String::new()));
    assert!(run.variables("none").is_none());
}
