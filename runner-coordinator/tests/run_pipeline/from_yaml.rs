//! From the text of a `.gitlab-ci.yml` to payloads and an outcome: compiler and run agree about their data.

use std::io;

use runner_coordinator::pipeline::{Context, Facts, Pipeline, ProjectFiles, compile};
use runner_coordinator::run::{Finished, Outcome, Status};

use crate::support::{Driver, entry, facts, settings, value};

struct OneFile(String);

impl ProjectFiles for OneFile {
    fn read(&self, path: &str) -> io::Result<Option<String>> {
        Ok((path == ".gitlab-ci.yml").then(|| self.0.clone()))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(vec![".gitlab-ci.yml".to_owned()])
    }
}

pub(crate) fn compiled(text: &str) -> Pipeline {
    let config = compile(".gitlab-ci.yml", &OneFile(text.to_owned()), &Context::from(&facts())).unwrap();
    config.evaluate(&Facts::from(&facts())).unwrap()
}

/// The pipeline of a file, running.
pub(crate) fn driver(text: &str) -> Driver {
    Driver::of(compiled(text), settings())
}

#[test]
fn scenario_01_one_job_has_one_step() {
    let driver = Driver::of(compiled("a: {script: x}"), settings());
    let steps = &driver.payload("a")["steps"];
    assert_eq!(steps.as_array().unwrap().len(), 1);
    assert_eq!((&steps[0]["name"], &steps[0]["script"]), (&"script".into(), &serde_json::json!(["x"])));
    assert_eq!(
        driver.run.stages().map(|(stage, _)| stage).collect::<Vec<_>>(),
        [".pre", "build", "test", "deploy", ".post"]
    );
}

#[test]
fn scenario_11_scalars_as_variables_reach_the_payload() {
    let driver = Driver::of(
        compiled("variables: {A: 010, B: 1.10, C: yes, D: , E: 0x10}\na: {script: x}"),
        settings(),
    );
    let values = ["A", "B", "C", "D", "E"].map(|name| value(driver.payload("a"), name).unwrap());
    assert_eq!(values, ["8", "1.1", "true", "", "16"]);
}

#[test]
fn scenario_33_expand_false_from_file_to_payload() {
    let text = "a: {script: x, variables: {A: {value: '$B', expand: false}, B: b, C: $A}}";
    let driver = Driver::of(compiled(text), settings());
    let payload = driver.payload("a");
    assert_eq!((value(payload, "A"), value(payload, "C")), (Some("$B"), Some("$A")));
    assert_eq!(entry(payload, "A").unwrap()["raw"], true);
    assert_eq!(entry(payload, "C").unwrap().get("raw"), None);
}

#[test]
fn scenario_43_a_rule_that_allows_every_failure() {
    for (rules, exit_code, expected) in [
        ("[{allow_failure: true}]", 5, Outcome::Success { warnings: true }),
        ("[{allow_failure: true}]", 3, Outcome::Success { warnings: true }),
        ("[{allow_failure: false}]", 3, Outcome::Failed),
        ("[{when: on_success}]", 3, Outcome::Success { warnings: true }),
        ("[{when: on_success}]", 5, Outcome::Failed),
    ] {
        let mut driver =
            driver(&format!("a: {{script: x, allow_failure: {{exit_codes: 3}}, rules: {rules}}}"));
        driver.finish("a", Finished::script_failed(exit_code));
        assert_eq!(driver.outcome(), Some(expected), "{rules} {exit_code}");
    }
    let mut driver = driver("a: {script: x, allow_failure: {exit_codes: 3}, rules: [{allow_failure: true}]}");
    driver.finish("a", Finished::failed("runner_system_failure"));
    assert_eq!(driver.outcome(), Some(Outcome::Success { warnings: true }), "without an exit code, too");
}

#[test]
fn scenario_55_a_need_waits_for_all_instances() {
    let mut driver = driver(
        "p: {stage: build, script: x, parallel: 2}\nq: {stage: build, script: x, parallel: {matrix: [{A: [x, y], B: [1, 2]}]}}\nc: {script: x, needs: [p]}",
    );
    for (number, name) in ["q: [x, 1]", "q: [x, 2]", "q: [y, 1]", "q: [y, 2]"].into_iter().enumerate() {
        let payload = driver.payload(name);
        assert_eq!(value(payload, "CI_NODE_INDEX"), Some(format!("{}", number + 1).as_str()));
        assert_eq!(value(payload, "CI_NODE_TOTAL"), Some("4"));
        assert_eq!(value(payload, "CI_JOB_NAME"), Some(name));
        assert_eq!(value(payload, "A"), Some(&name[4..5]));
        assert_eq!(value(payload, "B"), Some(&name[7..8]));
    }
    assert_eq!(driver.status("c"), Status::Created);
    driver.succeed("p 2/2");
    assert_eq!(driver.status("c"), Status::Created, "p 1/2 is not done");
    driver.succeed("p 1/2");
    assert_eq!(driver.status("c"), Status::Pending, "q does not matter");
}

#[test]
fn scenario_57_reports_from_the_file() {
    let mut driver = driver(
        "a:\n  stage: build\n  script: x\n  artifacts:\n    reports: {junit: j.xml, dotenv: v.env, coverage_report: {coverage_format: cobertura, path: c.xml}}\nb: {script: x, variables: {X: yaml}}\n",
    );
    let artifacts = driver.payload("a")["artifacts"].as_array().unwrap();
    let entries: Vec<[&str; 5]> = artifacts
        .iter()
        .map(|entry| {
            ["artifact_type", "artifact_format", "name", "when"]
                .map(|key| entry[key].as_str().unwrap())
                .into_iter()
                .chain([entry["paths"][0].as_str().unwrap()])
                .collect::<Vec<_>>()
                .try_into()
                .unwrap()
        })
        .collect();
    assert_eq!(
        entries,
        [
            ["junit", "gzip", "junit.xml", "always", "j.xml"],
            ["dotenv", "gzip", ".env", "always", "v.env"],
            ["cobertura", "gzip", "cobertura-coverage.xml", "always", "c.xml"],
        ]
    );
    let dotenv = vec![("X".to_owned(), "report".to_owned())];
    driver.finish("a", Finished { dotenv, ..Finished::success() });
    assert_eq!(value(driver.payload("b"), "X"), Some("report"));
    assert_eq!(driver.payload("b")["dependencies"], serde_json::json!([]), "there is no archive");
}

#[test]
fn scenario_45_needs_of_a_rule_start_the_job_at_once() {
    let driver = Driver::of(
        compiled("a: {stage: build, script: x}\nb: {script: x, needs: [a], rules: [{needs: []}]}"),
        settings(),
    );
    assert_eq!(driver.statuses(), "a:pending b:pending");
}

#[test]
fn scenario_51_an_allowed_failure_from_the_file() {
    let mut driver = Driver::of(
        compiled(
            "build: {stage: build, script: x, allow_failure: true}\ntest: {script: x}\nrepair: {script: x, when: on_failure}",
        ),
        settings(),
    );
    driver.fail("build");
    assert_eq!(driver.statuses(), "build:failed test:pending repair:skipped");
    driver.succeed("test");
    assert_eq!(driver.outcome(), Some(Outcome::Success { warnings: true }));
}

#[test]
fn a_small_pipeline() {
    let pipeline = compiled(
        r#"
stages: [build, test]
workflow:
  name: "Build of $CI_COMMIT_BRANCH"
  rules: [{if: $CI_COMMIT_BRANCH}]
variables:
  MODE: fast
default:
  before_script: [prepare]
compile:
  stage: build
  script: [make, make check]
  artifacts: {paths: [out], reports: {junit: j.xml}}
  variables: {WHAT: "$CI_PROJECT_NAME in $MODE mode"}
unit:
  stage: test
  parallel: {matrix: [{OS: [linux, mac]}]}
  script: test on $OS
  allow_failure: {exit_codes: [3]}
  rules: [{if: $OS == "linux"}, {when: never}]
later:
  stage: .post
  needs: ["unit: [linux]"]
  script: report
  environment: {name: review/$CI_COMMIT_REF_SLUG}
"#,
    );
    let mut driver = Driver::of(pipeline, settings());
    assert_eq!(driver.statuses(), "compile:pending unit: [linux]:created later:created");
    let payload = driver.payload("compile");
    assert_eq!(value(payload, "WHAT"), Some("project in fast mode"));
    assert_eq!(value(payload, "CI_PIPELINE_NAME"), Some("Build of main"));
    assert_eq!(payload["steps"][0]["script"], serde_json::json!(["prepare", "make", "make check"]));
    assert_eq!(payload["artifacts"][1]["name"], "junit.xml");
    driver.succeed("compile");
    assert_eq!(value(driver.payload("unit: [linux]"), "OS"), Some("linux"));
    assert_eq!(value(driver.payload("unit: [linux]"), "CI_NODE_TOTAL"), Some("2"));
    driver.finish("unit: [linux]", Finished::script_failed(3));
    assert_eq!(value(driver.payload("later"), "CI_ENVIRONMENT_NAME"), Some("review/main"));
    driver.succeed("later");
    assert_eq!(driver.outcome(), Some(Outcome::Success { warnings: true }));
}

/// Found by fuzzing: every end of a job made all the others work out their group again.
#[test]
fn many_jobs_wait_for_one_group() {
    let mut driver = driver("a: {script: x, parallel: 200, resource_group: $CI_COMMIT_REF_NAME}");
    for index in 1..=200 {
        let name = format!("a {index}/200");
        assert_eq!(driver.status(&name), Status::Pending);
        let waiting = driver.run.jobs().filter(|job| job.status == Status::WaitingForResource).count();
        assert_eq!(waiting, 200 - index);
        driver.succeed(&name);
    }
    assert_eq!(driver.outcome(), Some(Outcome::Success { warnings: false }));
}
