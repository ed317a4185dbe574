//! What reaches beyond one pipeline: artifacts of others, tokens, triggers, resource groups, two runs at once.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, ChildStdout, Stdio};

use crate::support::{Checkout, Surroundings};

const NEEDING: &str = r#"
use:
  needs:
    - {project: group/lib, job: build, ref: main}
    - {project: group/lib, job: "test: [a, b]", ref: $REF, artifacts: true}
    - {project: group/other, job: skipped, ref: main, artifacts: false}
  script: ['ls -R lib || echo nothing', 'test ! -e lib/tool || lib/tool', 'cat report.txt || true']
"#;

#[test]
fn artifacts_of_other_projects_can_be_supplied() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, NEEDING);
    let answer = checkout.exec(&[]).expect(0);
    assert!(answer.out.contains("use | nothing\n"), "{}", answer.out);
    assert!(
        answer.out.contains(
            "note: use: needs:project group/lib, job build (.gitlab-ci.yml:4:7): not to be had here, the job runs without \
             these artifacts; --artifacts 'group/lib:build=DIR' supplies them\n"
        ),
        "{}",
        answer.out
    );
    assert!(answer.out.contains("--artifacts 'group/lib:test: [a, b]=DIR' supplies"), "{}", answer.out);
    assert!(!answer.out.contains("skipped ("), "{}", answer.out);

    let tool = surroundings.write("made/lib/tool", "#!/bin/sh\necho tool of the library\n");
    std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("tool", surroundings.path("made/lib/link")).unwrap();
    surroundings.write("reports/report.txt", "all of it is fine\n");
    // A zip file that another run left.
    let other = Checkout { surroundings: &surroundings, root: surroundings.path("other") };
    std::fs::create_dir(&other.root).unwrap();
    other.git(&["init", "--quiet", "--initial-branch=main"]);
    other.write(
        ".gitlab-ci.yml",
        "make: {script: cp ../reports/report.txt . || cp $REPORT ., artifacts: {paths: [report.txt]}}\n",
    );
    other.commit("start");
    let report = format!("REPORT={}", surroundings.path("reports/report.txt").display());
    let kept = other.exec(&["--keep-state", "--variable", &report]).expect(0);
    let (_, folder) = kept.out.split_once("note: everything of this run is in ").unwrap();
    let artifacts = std::path::Path::new(folder.lines().next().unwrap()).join("artifacts");
    let mut files = Vec::new();
    find(&artifacts, &mut files);
    let zip = surroundings.path("report.zip");
    std::fs::copy(&files[0], &zip).unwrap();

    let arguments =
        ["--artifacts", "group/lib:build=../made", "--artifacts", "group/lib:test: [a, b]=../report.zip"];
    let answer = checkout.exec(&arguments).expect(0);
    assert!(answer.out.contains("use | tool of the library\n"), "{}", answer.out);
    assert!(
        answer.out.contains("use | link\n") && answer.out.contains("use | all of it is fine\n"),
        "{}",
        answer.out
    );
    assert!(!answer.out.contains("not to be had"), "{}", answer.out);

    for (argument, said) in [
        ("group/lib=made", "--artifacts takes PROJECT:JOB=DIR"),
        ("group/lib:build=nowhere", "cannot read"),
        ("group/lib:build=.gitlab-ci.yml", "cannot read"),
    ] {
        let answer = checkout.exec(&["--artifacts", argument]).expect(2);
        assert!(answer.err.contains(said), "{argument}: {}", answer.err);
    }
}

fn find(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { find(&path, found) } else { found.push(path) }
    }
}

#[test]
fn a_child_gets_artifacts_of_its_parent() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        r#"
stages: [build, child]
make: {stage: build, script: [echo made by the parent > made], artifacts: {paths: [made]}}
child:
  stage: child
  variables: {PARENT: $CI_PIPELINE_ID}
  trigger: {include: child.yml, strategy: depend}
"#,
    );
    checkout.write(
        "child.yml",
        "use: {needs: [{pipeline: $PARENT, job: make}], script: cat made}\nmissing: {needs: [{pipeline: $PARENT, job: nobody}], script: cat made || echo none}\n",
    );
    let answer = checkout.exec(&[]).expect(0);
    assert!(answer.out.contains("child/use     | made by the parent\n"), "{}", answer.out);
    assert!(answer.out.contains("child/missing | none\n"), "{}", answer.out);
    assert!(
        answer.out.contains("needs:pipeline 1, job nobody (child.yml:2:19): not to be had here"),
        "{}",
        answer.out
    );
    // What the user gives is meant.
    surroundings.write("given/made", "given\n");
    let answer = checkout.exec(&["--artifacts", ":make=../given"]).expect(0);
    assert!(answer.out.contains("child/use     | given\n"), "{}", answer.out);
}

#[test]
fn tokens_triggers_and_pages() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        r#"
a:
  id_tokens: {TOKEN: {aud: there}, OTHER: {aud: elsewhere}}
  script: ['test "$TOKEN" = given-token-value && echo given; test -n "$OTHER" && echo made', 'echo "secret $TOKEN"']
b: {script: ['echo "token ${TOKEN:-none}"', 'echo "job $CI_JOB_TOKEN"']}
bridge: {trigger: group/other}
after: {stage: deploy, script: echo after, needs: [{job: bridge, optional: false}]}
pages: {stage: deploy, needs: [], script: [mkdir public, echo page > public/index.html]}
"#,
    );
    let answer = checkout.exec(&["--id-token", "TOKEN=given-token-value"]).expect(0);
    let said = |text: &str| assert!(answer.out.contains(text), "{text}\n{}", answer.out);
    said("a      | given\n");
    said("a      | made\n");
    said("a      | secret [MASKED]\n");
    said("b      | token none\n");
    said("b      | job [MASKED]\n");
    said(
        "note: id token OTHER is signed with a key of this run alone; nobody else accepts it; --id-token OTHER=… gives",
    );
    said(
        "note: CI_JOB_TOKEN (used by b) is known to this run alone, no server takes it; --masked-variable CI_JOB_TOKEN=…",
    );
    said(
        "note: bridge: the pipeline of project group/other is not triggered; the job is counted as success (--strict:",
    );
    said("after  | after\n");
    said("note: pages: the pages are not published; --artifacts-to DIR leaves them in DIR/pages/public\n");
    assert!(!answer.out.contains("id token TOKEN"), "{}", answer.out);

    let answer = checkout
        .exec(&["--strict", "--masked-variable", "CI_JOB_TOKEN=another-token", "--artifacts-to", "../out"])
        .expect(0);
    assert!(
        answer.out.contains("the job is skipped\n") && !answer.out.contains("after  | after\n"),
        "{}",
        answer.out
    );
    assert!(!answer.out.contains("known to this run alone"), "{}", answer.out);
    let page = surroundings.path("out/pages/public");
    assert!(answer.out.contains("out/pages/public\n"), "{}", answer.out);
    assert_eq!(std::fs::read_to_string(page.join("index.html")).unwrap(), "page\n");
}

#[test]
fn a_resource_group_holds_across_parent_and_child() {
    let surroundings = Surroundings::new();
    // Each takes the folder, and fails when somebody else has it.
    let job = "{resource_group: prod, script: [mkdir $PLACE, sleep 0.3, rmdir $PLACE]}";
    let checkout = Checkout::new(
        &surroundings,
        &format!("one: {job}\ntwo: {job}\nchild: {{trigger: {{include: child.yml, strategy: depend}}}}\n"),
    );
    checkout.write("child.yml", &format!("three: {job}\nfour: {job}\n"));
    let place = format!("PLACE={}", surroundings.path("taken").display());
    surroundings.write("variables", &format!("{place}\n"));
    let answer = checkout.exec(&["--variables-file", "../variables", "--jobs", "4"]).expect(0);
    assert!(answer.out.contains(" waits for resource group prod, which "), "{}", answer.out);
    assert!(answer.out.lines().last().unwrap().contains("success (5 jobs in "), "{}", answer.out);
}

/// A run whose output is read line by line.
fn start(checkout: &Checkout<'_>, arguments: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let mut child =
        checkout.exec_command(arguments).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    (child, out)
}

#[track_caller]
fn until(out: &mut impl BufRead, part: &str) -> String {
    let mut said = String::new();
    while !said.lines().last().is_some_and(|line| line.contains(part)) {
        assert_ne!(out.read_line(&mut said).unwrap(), 0, "no line with {part:?} in\n{said}");
    }
    said
}

#[test]
fn a_resource_group_holds_across_runs() {
    let surroundings = Surroundings::new();
    let gate = surroundings.path("gate");
    assert!(std::process::Command::new("mkfifo").arg(&gate).status().unwrap().success());
    let checkout = Checkout::new(
        &surroundings,
        &format!(
            "deploy: {{resource_group: prod, script: ['echo ready', 'cat {}', 'echo done']}}\n",
            gate.display()
        ),
    );
    let (mut first, mut first_out) = start(&checkout, &[]);
    until(&mut first_out, "| ready");
    let (mut second, mut second_out) = start(&checkout, &[]);
    let said = until(&mut second_out, "deploy waits for resource group prod, which another run has");
    assert!(!said.contains("| ready"), "{said}");
    std::fs::write(&gate, "").unwrap();
    until(&mut first_out, "pipeline 1: success");
    until(&mut second_out, "| ready");
    std::fs::write(&gate, "").unwrap();
    until(&mut second_out, "pipeline 2: success");
    assert!(first.wait().unwrap().success() && second.wait().unwrap().success());
}

#[test]
fn runs_at_the_same_time_do_not_disturb_each_other() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        r#"
stages: [one, two]
make:
  stage: one
  script: [mkdir -p kept, 'echo $CI_PIPELINE_ID > kept/$CI_PIPELINE_ID', 'echo $CI_PIPELINE_ID > made']
  cache: {key: all, paths: [kept]}
  artifacts: {paths: [made]}
check: {stage: two, script: ['test "$(cat made)" = $CI_PIPELINE_ID && echo fits']}
child: {stage: two, trigger: {include: child.yml, strategy: depend}}
"#,
    );
    checkout.write("child.yml", "inner: {script: 'echo inner $CI_PIPELINE_ID'}\n");
    checkout.exec(&[]).expect(0);
    let runs: Vec<_> = (0..4).map(|_| start(&checkout, &[])).collect();
    let mut numbers = Vec::new();
    for (mut child, mut out) in runs {
        let mut said = String::new();
        out.read_to_string(&mut said).unwrap();
        assert!(child.wait().unwrap().success(), "{said}");
        assert!(said.contains("| fits\n"), "{said}");
        for (begin, end) in [("| inner ", "\n"), ("\npipeline ", ":")] {
            let (_, rest) = said.split_once(begin).unwrap();
            numbers.push(rest.split_once(end).unwrap().0.parse::<u64>().unwrap());
        }
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (3..=10).collect::<Vec<u64>>());
    let answer = checkout.exec(&[]).expect(0);
    assert!(answer.out.contains("Successfully extracted cache"), "{}", answer.out);
    let project = std::fs::read_dir(surroundings.path("state")).unwrap();
    let project = project.map(|entry| entry.unwrap().path()).find(|path| path.is_dir()).unwrap();
    assert_eq!(std::fs::read_dir(project.join("runs")).unwrap().count(), 0);
}
