//! Jobs that start other pipelines.

use runner_coordinator::pipeline::{ChildInclude, Forward, Trigger, TriggerTarget, Work};
use runner_coordinator::run::{Action, Finished, JobVariable, Outcome, Status};

use super::success;
use crate::support::{Driver, job, now, settings, variable, with};

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
        [
            "t: the pipeline of project ops/deploy is not triggered; the job is counted as success (--strict: skipped)"
        ]
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
