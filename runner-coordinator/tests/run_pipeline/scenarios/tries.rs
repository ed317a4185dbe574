//! Tries of a job and how they end: retries, exit codes, resource groups, cancellation.

use std::time::Duration;

use runner_coordinator::pipeline::{AllowFailure, Retry, When};
use runner_coordinator::run::{Action, End, Finished, Outcome, PipelineRun, PlayError, Status};

use super::success;
use crate::support::{Driver, allowed, job, now, pipeline, settings, value, variable, when, with};

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
fn the_pipeline_may_ask_to_cancel_the_rest() {
    let mut pipeline = pipeline(vec![job("bad", "test"), job("other", "test")]);
    pipeline.cancel_on_failure = true;
    let mut driver = Driver::of(pipeline, settings());
    let other = driver.id("other");
    driver.fail("bad");
    assert_eq!(driver.canceled, [other]);
}
