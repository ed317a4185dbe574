//! Conformance scenarios whose truth shows only in a real repository with real processes; the others are tests of
//! runner-coordinator.

use crate::support::{Answer, Checkout, Surroundings};

/// The lines that one job printed.
fn said(answer: &Answer, job: &str) -> Vec<String> {
    let of_job = |line: &str| {
        let (name, text) = line.split_once(" |")?;
        (name.trim_end() == job).then(|| text.strip_prefix(' ').unwrap_or(text).to_owned())
    };
    answer.out.lines().filter_map(of_job).collect()
}

#[track_caller]
fn assert_said(answer: &Answer, job: &str, text: &str) {
    assert!(said(answer, job).iter().any(|line| line == text), "{job}: {text}\n{}", answer.out);
}

#[test]
fn scenario_25_wildcards_see_what_git_tracks() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, "include: 'ci/**/*.yml'\n");
    checkout.write(".gitignore", "ignored.yml\n");
    for (path, job) in [
        ("ci/b/y.yml", "second"),
        // `**/` stands for one folder at least.
        ("ci/top.yml", "top"),
        ("ci/a/z.yml", "first"),
        ("ci/c/d/e.yml", "third"),
        ("ci/a/ignored.yml", "ignored"),
    ] {
        checkout.write(path, &format!("{job}: {{script: x}}\n"));
    }
    checkout.commit("files");
    for arguments in [&["--list", "--format", "json"][..], &["--list", "--format", "json", "--committed"]] {
        let answer = checkout.exec(arguments).expect(0);
        let list: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
        let names: Vec<_> =
            list["jobs"].as_array().unwrap().iter().map(|job| job["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["first", "second", "third"]);
    }
}

#[test]
fn scenario_27_nothing_runs_when_an_include_is_missing() {
    let surroundings = Surroundings::new();
    let checkout =
        Checkout::new(&surroundings, "include:\n  - project: g/p\n    file: f.yml\na: {script: echo ran}\n");
    let answer = checkout.exec(&[]).expect(2);
    assert!(
        answer
            .err
            .contains(".gitlab-ci.yml:2:5: include:project g/p, file f.yml: not available without a server"),
        "{}",
        answer.err
    );
    assert!(!answer.out.contains("ran"), "{}", answer.out);
}

#[test]
fn scenario_31_unknown_variables_are_empty_in_the_script() {
    let surroundings = Surroundings::new();
    let checkout =
        Checkout::new(&surroundings, "variables: {B: $A-$C, A: x}\na: {script: 'echo \"value $B.\"'}\n");
    assert_said(&checkout.exec(&[]).expect(0), "a", "value x-.");
    assert_said(&checkout.exec(&["--variable", "A=y"]).expect(0), "a", "value y-.");
}

#[test]
fn scenario_35_variables_of_the_user() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        "variables: {GITLAB_USER_LOGIN: z}\na: {script: 'echo \"user $GITLAB_USER_LOGIN\"'}\n",
    );
    checkout.git(&["config", "user.email", "ada@example.org"]);
    assert_said(&checkout.exec(&[]).expect(0), "a", "user ada");
    assert_said(&checkout.exec(&["--variable", "GITLAB_USER_LOGIN=me"]).expect(0), "a", "user me");
}

#[test]
fn scenario_37_a_detached_head_on_a_tag() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        "a: {script: ['echo \"tag $CI_COMMIT_TAG ref $CI_COMMIT_REF_NAME branch ${CI_COMMIT_BRANCH-none}\"', 'git tag --points-at HEAD']}\n",
    );
    checkout.git(&["tag", "v1"]);
    checkout.git(&["checkout", "--quiet", "--detach"]);
    let answer = checkout.exec(&[]).expect(0);
    assert_said(&answer, "a", "tag v1 ref v1 branch none");
    assert_said(&answer, "a", "v1");
    let answer = checkout.exec(&["--job-payload", "a"]).expect(0);
    let payload: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!(payload["git_info"]["ref_type"], "tag");
    assert_eq!(payload["git_info"]["refspecs"][1], "+refs/tags/v1:refs/tags/v1");
}

#[test]
fn scenario_47_changes_of_the_second_commit() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        "in: {script: x, rules: [{changes: [docs/*]}]}\nout: {script: x, rules: [{changes: ['*.md']}]}\ndeep: {script: x, rules: [{changes: ['**/*.md']}]}\n",
    );
    let left_out = |flags: &[&str]| {
        let answer = checkout.exec(&[&["--list"], flags].concat()).expect(0);
        answer.out.lines().filter(|line| line.contains("left out")).count()
    };
    assert_eq!(left_out(&[]), 0, "nothing to compare with");
    checkout.write("docs/a.md", "");
    checkout.commit("second");
    let answer = checkout.exec(&["--list"]).expect(0);
    assert!(answer.out.contains("out   test   left out by rules\n"), "{}", answer.out);
    assert_eq!(left_out(&[]), 1);
}

#[test]
fn scenario_49_files_that_exist() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        "make: {stage: build, script: touch Dockerfile, artifacts: {paths: [Dockerfile]}}\nprobe: {stage: test, script: x, rules: [{exists: [Dockerfile]}]}\n",
    );
    checkout.write(".gitignore", "Dockerfile\n");
    checkout.write("Dockerfile", "");
    checkout.commit("ignore it");
    let answer = checkout.exec(&[]).expect(0);
    assert!(answer.out.contains("make | success") && !answer.out.contains("probe"), "{}", answer.out);
    checkout.git(&["add", "--force", "Dockerfile"]);
    checkout.commit("track it");
    let answer = checkout.exec(&["--list"]).expect(0);
    assert!(!answer.out.contains("left out"), "{}", answer.out);
}

#[test]
fn scenario_53_a_job_that_needs_an_optional_manual_one() {
    let surroundings = Surroundings::new();
    let checkout =
        Checkout::new(&surroundings, "m: {script: echo m, when: manual}\nc: {script: echo c, needs: [m]}\n");
    let answer = checkout.exec(&[]).expect(0);
    assert!(answer.out.contains("\nc    test   skipped\n"), "{}", answer.out);
    let answer = checkout.exec(&["--manual", "m"]).expect(0);
    assert_said(&answer, "c", "c");
}

#[test]
fn scenario_57_variables_of_a_report() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        "report: {stage: build, script: 'echo X=report > v.env', artifacts: {reports: {dotenv: v.env}}}\nlater: {script: 'echo \"x is $X\"', variables: {X: yaml}}\n",
    );
    assert_said(&checkout.exec(&[]).expect(0), "later", "x is report");
    let text = std::fs::read_to_string(checkout.root.join(".gitlab-ci.yml")).unwrap();
    checkout.write(
        ".gitlab-ci.yml",
        &text.replace("'echo X=report > v.env'", "['echo \"# X\" > v.env', 'echo X=1 >> v.env']"),
    );
    let answer = checkout.exec(&["report"]).expect(1);
    assert!(answer.out.contains("report | failed: "), "{}", answer.out);
}

#[test]
fn scenario_59_a_cache_by_its_files() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        "a: {script: x, cache: {key: {files: [a.lock], prefix: p}, paths: [x]}}\nb: {script: x, cache: {key: {files: [a.lock]}, paths: [x]}}\n",
    );
    let keys = |branch: &str| {
        ["a", "b"].map(|job| {
            let answer = checkout.exec(&["--job-payload", job, "--branch", branch]).expect(0);
            let payload: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
            payload["cache"][0]["key"].as_str().unwrap().to_owned()
        })
    };
    assert_eq!(keys("topic"), ["p-default-non_protected", "0_a-default-non_protected"]);
    checkout.write("a.lock", "1");
    checkout.commit("lock");
    let found = keys("topic");
    let hash = found[0].strip_prefix("p-").unwrap().strip_suffix("-non_protected").unwrap();
    assert!(hash.len() == 40 && hash.chars().all(|c| c.is_ascii_hexdigit()), "{found:?}");
    assert_eq!(found[1], format!("0_a-{hash}-non_protected"));
    assert_eq!(keys("other"), found, "another branch with the same file");
    assert_eq!(keys("main")[0], format!("p-{hash}-protected"));
    checkout.write("other", "1");
    checkout.commit("another commit with the same file");
    assert_eq!(keys("topic"), found);
    checkout.write("a.lock", "2");
    checkout.commit("another lock");
    assert_ne!(keys("topic")[0], found[0]);
}
