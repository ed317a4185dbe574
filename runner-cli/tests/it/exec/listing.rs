//! `exec --list`.

use crate::support::{Answer, Checkout, Surroundings};

const PIPELINE: &str = r#"
stages: [build, test]
variables: {GREETING: hello}
default: {before_script: [echo before]}
build:
  stage: build
  parallel: {matrix: [{TARGET: [a, b]}]}
  script: [echo one, [echo two, echo three]]
test:
  stage: test
  needs: [build]
  when: manual
  variables: {GREETING: goodbye}
  script: echo test
tagged:
  stage: test
  rules: [{if: $CI_COMMIT_TAG}]
  script: echo tagged
"#;

fn list(answer: Answer) -> serde_json::Value {
    serde_json::from_str(&answer.expect(0).out).unwrap()
}

#[test]
fn jobs_for_programs() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, PIPELINE);
    let jobs = list(checkout.exec(&["--list", "--format", "json"]))["jobs"].clone();
    let names: Vec<&str> = jobs.as_array().unwrap().iter().map(|job| job["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["build: [a]", "build: [b]", "test", "tagged"]);
    assert_eq!(jobs[0]["base"], "build");
    assert_eq!(jobs[0]["stage"], "build");
    assert_eq!(jobs[0]["script"], serde_json::json!(["echo before", "echo one", "echo two", "echo three"]));
    assert_eq!(jobs[0]["needs"], serde_json::Value::Null);
    assert_eq!(jobs[0]["when"], "on_success");
    assert_eq!(jobs[0]["variables"], serde_json::json!({ "GREETING": "hello", "TARGET": "a" }));
    assert_eq!(jobs[2]["needs"], serde_json::json!(["build: [a]", "build: [b]"]));
    assert_eq!(jobs[2]["when"], "manual");
    assert_eq!(jobs[2]["variables"]["GREETING"], "goodbye");
    assert_eq!((&jobs[2]["in_pipeline"], &jobs[3]["in_pipeline"]), (&true.into(), &false.into()));
    let tagged = list(checkout.exec(&["--list", "--format", "json", "--tag", "v1"]));
    assert_eq!(tagged["jobs"][3]["in_pipeline"], true);
    assert!(!surroundings.path("state").exists());
}

#[test]
fn jobs_for_people() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, PIPELINE);
    assert_eq!(
        checkout.exec(&["--list"]).expect(0).out,
        "job         stage  when               needs\n\
         build: [a]  build  on_success\n\
         build: [b]  build  on_success\n\
         test        test   manual             build: [a], build: [b]\n\
         tagged      test   left out by rules\n"
    );
}

#[test]
fn a_file_needs_no_repository() {
    let surroundings = Surroundings::new();
    surroundings.write("files/other.yml", "include: sub/part.yml\njob: {script: echo job}\n");
    surroundings.write("files/sub/part.yml", "part: {script: echo part}\n");
    let command = |folder: &str, file: &str| {
        let mut command = surroundings.command();
        command
            .args(["exec", "--list", "--format", "json", "-f", file])
            .current_dir(surroundings.path(folder));
        list(Answer::of(&mut command))["jobs"].as_array().unwrap().len()
    };
    assert_eq!(command("files", "other.yml"), 2);
    assert_eq!(command("home", "../files/other.yml"), 2);
    assert_eq!(command("home", surroundings.path("files/other.yml").to_str().unwrap()), 2);
}

#[test]
fn a_repository_needs_no_commit() {
    let surroundings = Surroundings::new();
    let root = surroundings.path("empty");
    std::fs::create_dir(&root).unwrap();
    crate::support::git(&surroundings, &root, &["init", "--quiet"]);
    surroundings.write("empty/.gitlab-ci.yml", "include: part.yml\n");
    surroundings.write("empty/part.yml", "part: {script: echo part}\n");
    let mut command = surroundings.command();
    command.args(["exec", "--list", "--format", "json"]).current_dir(&root);
    assert_eq!(list(Answer::of(&mut command))["jobs"][0]["name"], "part");
    let answer =
        Answer::of(surroundings.command().args(["exec", "--state-dir", "s"]).current_dir(&root)).expect(2);
    assert!(answer.err.contains("has no commit yet"), "{}", answer.err);
}

#[test]
fn mistakes_have_a_place() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, "a: {script: x}\nb:\n  script: x\n  need: [a]\n");
    let answer = checkout.exec(&["--list"]).expect(2);
    assert!(
        answer.err.contains(".gitlab-ci.yml:4:3: jobs:b config contains unknown keys: need"),
        "{}",
        answer.err
    );
    let answer = checkout.exec(&["--list", "-f", "none.yml"]).expect(2);
    assert!(answer.err.contains("none.yml; name the pipeline's file with -f"), "{}", answer.err);
}

#[test]
fn a_pipeline_is_drawn() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        "stages: [build, test]\ncompile: {stage: build, script: x}\nunit: {stage: test, script: x, needs: [compile]}\nlint: {stage: test, script: x, when: manual}\n",
    );
    let drawn = checkout.exec(&["--graph"]).expect(0).out;
    assert_eq!(
        drawn,
        "build\n└─ compile\ntest\n├─ unit                            ◀─ compile\n└─ lint (manual, allowed to fail)\n"
    );
    let drawn = checkout.exec(&["--graph=mermaid"]).expect(0).out;
    assert!(drawn.starts_with("flowchart LR\n") && drawn.contains("j0 --> j1\n"), "{drawn}");
    let drawn = checkout.exec(&["--graph=svg"]).expect(0).out;
    assert!(drawn.starts_with("<svg ") && drawn.contains(">unit</text>"), "{drawn}");
}
