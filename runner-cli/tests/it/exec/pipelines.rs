//! Pipelines from beginning to end.

use crate::support::{Checkout, Surroundings};

#[test]
fn artifacts_variables_and_order() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        r#"
stages: [build, test]
build:
  stage: build
  script: [mkdir out, 'echo "$WORD made by $CI_JOB_NAME" > out/file.txt']
  artifacts: {paths: [out/]}
  environment: {name: review/$CI_COMMIT_REF_NAME, url: 'https://$CI_ENVIRONMENT_SLUG.example.org'}
test:
  stage: test
  script: [cat out/file.txt, 'echo "the secret is $SECRET"', 'echo "$CI_COMMIT_BRANCH of $CI_PROJECT_NAME"']
"#,
    );
    surroundings.write("variables", "WORD=from-file\nOTHER=1\n");
    let artifacts = surroundings.path("artifacts");
    let answer = checkout
        .exec(&[
            "--variable",
            "WORD=something",
            "--masked-variable",
            "SECRET=hidden-value-123",
            "--variables-file",
            "../variables",
            "--artifacts-to",
            artifacts.to_str().unwrap(),
        ])
        .expect(0);
    assert!(answer.out.contains("test  | something made by build\n"), "{}", answer.out);
    assert!(answer.out.contains("test  | the secret is [MASKED]\n"), "{}", answer.out);
    assert!(answer.out.contains("test  | main of project\n"), "{}", answer.out);
    assert!(!answer.out.contains("hidden-value-123"), "{}", answer.out);
    assert!(
        answer.out.contains("note: build: environment review/main is at https://review-main-"),
        "{}",
        answer.out
    );
    assert!(!answer.out.contains("section_start") && !answer.out.contains('\u{1b}'), "{}", answer.out);
    let file = std::fs::read_to_string(artifacts.join("build/out/file.txt")).unwrap();
    assert_eq!(file, "something made by build\n");
    let last = answer.out.lines().last().unwrap();
    assert!(last.starts_with("pipeline 1: success (2 jobs in "), "{last}");
    assert!(!checkout.root.join("out").exists());
    let runs = std::fs::read_dir(surroundings.path("state")).unwrap();
    let project = runs.map(|entry| entry.unwrap().path()).find(|path| path.is_dir()).unwrap();
    assert_eq!(std::fs::read_dir(project.join("runs")).unwrap().count(), 0);
}

#[test]
fn failures_count_unless_allowed() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        r#"
stages: [one, two]
bad:
  stage: one
  script: [exit 3]
  after_script: ['echo "after $CI_JOB_STATUS"']
fine: {stage: one, script: echo fine, allow_failure: true, tags: [nowhere]}
late: {stage: two, script: echo late}
repair: {stage: two, script: echo repairing, when: on_failure}
"#,
    );
    let answer = checkout.exec(&[]).expect(1);
    assert!(answer.out.contains("bad    | after failed\n"), "{}", answer.out);
    assert!(answer.out.contains("bad    | failed: script_failure, exit code 3\n"), "{}", answer.out);
    assert!(answer.out.contains("repair | repairing\n"), "{}", answer.out);
    assert!(
        answer.out.contains("fine   | fine\n") && answer.out.contains("note: ignored: tags (1 job)"),
        "{}",
        answer.out
    );
    assert!(answer.out.contains("\nlate    two    skipped\n"), "{}", answer.out);
    let last = answer.out.lines().last().unwrap();
    assert!(last.starts_with("pipeline 1: failed (3 jobs in ") && last.ends_with("; failed: bad)"), "{last}");

    checkout.write(".gitlab-ci.yml", "bad: {script: exit 3, allow_failure: true}\n");
    let answer = checkout.exec(&[]).expect(0);
    assert!(answer.out.contains("failed (script_failure, exit code 3, allowed)"), "{}", answer.out);
    assert!(
        answer.out.lines().last().unwrap().starts_with("pipeline 2: success with warnings"),
        "{}",
        answer.out
    );
}

#[test]
fn only_what_was_asked_for() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        r#"
stages: [build, test, deploy]
build: {stage: build, script: echo build}
other: {stage: build, script: echo other}
test: {stage: test, needs: [build], script: echo test}
deploy: {stage: deploy, script: echo deploy, when: manual, allow_failure: false}
"#,
    );
    let ran = |arguments: &[&str], code| {
        let answer = checkout.exec(arguments).expect(code);
        let mut names: Vec<String> = answer
            .out
            .lines()
            .filter(|line| line.ends_with("| success"))
            .map(|line| line.split(' ').next().unwrap_or_default().to_owned())
            .collect();
        names.sort();
        (names.join(" "), answer.out.lines().last().unwrap().to_owned())
    };
    assert_eq!(ran(&["test"], 0).0, "build test");
    assert_eq!(ran(&["test", "--no-needs"], 0).0, "test");
    assert_eq!(ran(&["deploy", "--no-needs"], 0).0, "deploy");
    let (names, last) = ran(&[], 0);
    assert_eq!(names, "build other test");
    assert!(last.contains("waits for manual jobs") && last.contains("--manual 'deploy'"), "{last}");
    assert_eq!(ran(&["--manual", "all", "--jobs", "1"], 0).0, "build deploy other test");
    let answer = checkout.exec(&["nothing"]).expect(2);
    assert!(
        answer.err.contains("no job \"nothing\" in the pipeline; it has: build, other, test, deploy"),
        "{}",
        answer.err
    );
}

#[test]
fn nothing_to_run() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, "a: {script: x, rules: [{if: $CI_COMMIT_TAG}]}\n");
    let answer = checkout.exec(&[]).expect(2);
    assert!(answer.err.contains("there is nothing to run: Pipeline will not run"), "{}", answer.err);
    checkout.exec(&["--tag", "v1", "--variable", "x"]).expect(2);
}

#[test]
fn colours_on_demand() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, "a: {script: 'true'}\n");
    let answer = checkout.exec(&["--color", "always"]).expect(0);
    assert!(answer.out.contains("\u{1b}[36ma |\u{1b}[0m "), "{:?}", answer.out);
    assert!(answer.out.lines().last().unwrap().contains("\u{1b}[32msuccess"), "{:?}", answer.out);
}

#[test]
fn state_can_be_kept() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, "a: {script: echo kept > file}\n");
    let answer = checkout.exec(&["--keep-state"]).expect(0);
    let (_, folder) = answer.out.split_once("note: everything of this run is in ").unwrap();
    let folder = std::path::Path::new(folder.lines().next().unwrap());
    let mut found = Vec::new();
    find(&folder.join("builds"), "file", &mut found);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(std::fs::read_to_string(&found[0]).unwrap(), "kept\n");
}

fn find(folder: &std::path::Path, name: &str, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find(&path, name, found);
        } else if path.file_name().is_some_and(|file| file == name) {
            found.push(path);
        }
    }
}

#[test]
fn a_cache_is_kept_from_one_run_to_the_next() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        r#"
work:
  script: ['cat vendor/count || echo nothing yet', mkdir -p vendor, 'echo "run $CI_PIPELINE_IID" >> vendor/count']
  cache: {key: libraries, paths: [vendor]}
"#,
    );
    let first = checkout.exec(&[]).expect(0).out;
    assert!(
        first.contains("Checking cache for libraries") && first.contains("Cache file does not exist"),
        "{first}"
    );
    assert!(first.contains("Failed to extract cache") && first.contains("nothing yet"), "{first}");
    assert!(first.contains("Created cache"), "{first}");
    let second = checkout.exec(&[]).expect(0).out;
    assert!(second.contains("Successfully extracted cache") && second.contains("work | run 1\n"), "{second}");
    let third = checkout.exec(&[]).expect(0).out;
    assert!(third.contains("work | run 1\nwork | run 2\n"), "{third}");
}

#[test]
fn a_report_tells_a_run_and_its_tests() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        r#"
unit:
  script:
    - echo "<testsuite><testcase name='good'/><testcase name='bad'><failure message='1 is not 2'/></testcase></testsuite>" > junit.xml
    - echo "covered 81.5%"
    - exit 3
  coverage: '/covered (\d+\.\d+)%/'
  artifacts: {reports: {junit: junit.xml}}
"#,
    );
    let folder = surroundings.path("report");
    let answer = checkout.exec(&["--report", folder.to_str().unwrap()]).expect(1);
    assert!(answer.out.contains("tests of unit: 2, 1 failed\n  bad: 1 is not 2\n"), "{}", answer.out);
    assert!(answer.out.contains("note: the report is in "), "{}", answer.out);
    let page = std::fs::read_to_string(folder.join("index.html")).unwrap();
    for part in [
        "failed (1 job in ",
        ">bad</td><td class=\"bad long\">1 is not 2</td>",
        "81.5 %",
        "covered 81.5%",
        "<svg ",
    ] {
        assert!(page.contains(part), "{part} is missing in {page}");
    }
}
