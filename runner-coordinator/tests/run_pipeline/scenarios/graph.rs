//! Which job starts when: stages, `needs`, manual and delayed jobs, selected jobs.

use std::time::Duration;

use runner_coordinator::pipeline::{Node, When};
use runner_coordinator::run::{
    ExpandError, Outcome, PipelineRun, Play, PlayError, RunError, Selection, Status,
};

use super::success;
use crate::support::{
    Driver, allowed, facts, job, need, needs, now, pipeline, settings, value, variable, when, with,
};

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
fn an_empty_pipeline_is_skipped() {
    assert_eq!(Driver::new(Vec::new()).outcome(), Some(Outcome::Skipped));
    assert_eq!(facts().project().path, "group/project");
}
